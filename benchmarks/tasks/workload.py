"""The work of a job: images and passes, counted from its protocol and the sizes of its data; nothing is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from umt.backbones import Backbone
from umt.backbones.contract import Preprocess, round_up
from umt.backbones.probing import FORWARDS_A_STEP, counted

Forward = Callable[[Tensor], object]  # of a whole network, on images [B, 3, H, W]
Solve = Callable[[int, int], float]  # (width of the features, classes) -> multiply-adds


@dataclass(frozen=True)
class Passes:
    """Images that pass through the network, counted each time they are shown."""

    images: int = 0
    size: tuple[int, int] | None = None  # height, width of a pass in pixels; None for the size of the weights
    each: int = 1  # passes of an image: its windows and their mirror images
    precision: str = "fp32"  # fp32, bf16, fp16, or auto

    def fitted(self, preprocess: Preprocess) -> tuple[int, int]:
        """Return height and width of a pass, grown to sizes that a backbone takes."""
        height, width = (
            round_up(side, preprocess.size_multiple) for side in self.size or (preprocess.size, preprocess.size)
        )
        return height, width


@dataclass(frozen=True)
class FeaturePasses:
    """A part of the frozen features of some images; jobs of a backbone on a data set compute equal ones once."""

    what: str  # as `umt.features.Extraction` names it
    split: str  # "training" or "reported" images
    crop_pct: float
    passes: Passes
    mean_std: str = "weights"  # by which images are normalised


@dataclass(frozen=True)
class Gmacs:
    """Multiply-adds in 10^9 of an image: in training, and in a test with all windows and flips."""

    trained: float
    tested: float = 0.0


@dataclass(frozen=True)
class Workload:
    """The passes of a job. A task declares them as a function of its settings and of the images in each split.

    The splits are in order; the last one is reported, the others may be trained on.
    """

    trained: Passes = Passes()  # forward and backward
    tested: Passes = Passes()  # forward
    features: tuple[FeaturePasses, ...] = ()  # forward, unless another job has computed them
    solve: Solve | None = None  # what follows the features: heads, penalties, votes
    frozen: bool = False  # true if the backward leaves out the backbone
    network: Callable[[Backbone], Forward] | None = None  # backbone with its head, None for the backbone alone

    def gmacs(self, backbone: Backbone) -> Gmacs:
        """Count the multiply-adds of an image that is trained, or tested, with a backbone on the meta device."""
        with torch.device("meta"):
            network = self.network(backbone) if self.network else None
        return Gmacs(
            self._trained(*pass_gmacs(backbone, self.trained, network)) if self.trained.images else 0.0,
            self.tested.each * pass_gmacs(backbone, self.tested, network)[1] if self.tested.images else 0.0,
        )

    def _trained(self, backbone: float, backbone_and_head: float) -> float:
        return backbone * (1 if self.frozen else FORWARDS_A_STEP) + FORWARDS_A_STEP * (backbone_and_head - backbone)


def split_sizes(sizes: Mapping[str, int]) -> tuple[int, int]:
    """Return the number of images to train on, and of those to report on."""
    *training, reported = sizes.values()
    return sum(training), reported


@torch.no_grad()
def pass_gmacs(backbone: Backbone, passes: Passes, network: Forward | None = None) -> tuple[float, float]:
    """Count the multiply-adds in 10^9 of one pass: of the backbone, and of the whole network."""
    image = torch.zeros(1, 3, *passes.fitted(backbone.preprocess), device="meta")
    _, alone = counted(lambda: backbone(image, maps=(-1,)))
    return alone, counted(lambda: network(image))[1] if network else alone
