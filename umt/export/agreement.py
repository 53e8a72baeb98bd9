"""The agreement of an exported model with ours: measured output by output, at more than one resolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from umt.backbones.contract import Backbone, Features, round_up
from umt.errors import BackboneError

Outputs = dict[str, Tensor]
Shape = tuple[int, int, int]  # images, height, width


@dataclass(frozen=True)
class Agreement:
    """The largest difference of each output over its largest value, for images of one shape."""

    shape: Shape
    differences: Mapping[str, float]

    @property
    def worst(self) -> str:
        """The output that differs most; NaN is worse than any number."""
        return max(self.differences, key=lambda name: (math.isnan(self.differences[name]), self.differences[name]))

    def __str__(self) -> str:
        images, height, width = self.shape
        return f"{images} x {height} x {width}: {self.differences[self.worst]:.1e} ({self.worst})"


@dataclass(frozen=True)
class Exported:
    """The measured agreement of an export; `limit` names an ability of the checkpoint that the export lacks."""

    agreements: Sequence[Agreement]
    limit: str | None = None


def named_outputs(features: Features) -> Outputs:
    """Return `pooled` [B, D], `cls` [B, C] if there is one, and `map_0` [B, C_0, H_0, W_0] to the last map."""
    cls = {} if features.cls is None else {"cls": features.cls}
    return {"pooled": features.pooled, **cls, **{f"map_{index}": fmap for index, fmap in enumerate(features.maps)}}


def shapes_of(backbone: Backbone) -> list[Shape]:
    """Return two shapes: two images of the native size, and an image that is wider than high."""
    multiple = backbone.preprocess.size_multiple
    side = round_up(backbone.preprocess.size, multiple)
    return [(2, side, side), (1, side, side + multiple)]


@torch.no_grad()
def measure(backbone: Backbone, theirs: Callable[[Tensor], Outputs], shapes: Sequence[Shape]) -> list[Agreement]:
    """Measure differences between a backbone and `theirs` on the same random RGB images in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    agreements = []
    for images, height, width in shapes:
        batch = torch.rand(images, 3, height, width, generator=generator)
        ours, their_outputs = named_outputs(backbone(batch)), theirs(batch)
        agreements.append(
            Agreement((images, height, width), {name: _difference(ours[name], their_outputs[name]) for name in ours})
        )
    return agreements


def require(agreements: Sequence[Agreement], tolerance: float, subject: str) -> None:
    """Raise UMTError if an output differs by more than `tolerance` at any shape."""
    for agreement in agreements:
        if not agreement.differences[agreement.worst] <= tolerance:
            raise BackboneError(
                f"{subject}: differs from the checkpoint by {agreement}, more than {tolerance:g}; it is not kept"
            )


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        return math.inf
    largest = float((ours - theirs).abs().max())
    return largest / float(ours.abs().max()) if largest else 0.0
