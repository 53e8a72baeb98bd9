"""CKA of backbones over images: pooled features, and layer by layer the summary tokens and the patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from umt.analysis.cka import CkaTable, LinearCka
from umt.analysis.grids import Grid, resampled, tokens_of
from umt.backbones.contract import Backbone, Features, round_up
from umt.data.contract import Sample
from umt.data.image_list import ImageList
from umt.data.loaders import decoded_batches, decoding_threads
from umt.features import eval_images

Progress = Callable[[int, int, str], None]  # done, total, counted items


@dataclass(frozen=True)
class CkaSettings:
    """The settings that change the numbers."""

    resolution: int  # pixels; a backbone whose patches do not fit takes the next size that does
    crop_pct: float  # share of an image's shorter side that is shown, the same to all backbones, so that patches match
    maps: int  # maps of each backbone, at most: evenly spaced, the last among them


@dataclass(frozen=True)
class Subject:
    """A backbone, its name, and the maps that are compared."""

    label: str
    backbone: Backbone
    side: int  # pixels of its images
    maps: tuple[int, ...]

    @classmethod
    def of(cls, label: str, backbone: Backbone, settings: CkaSettings) -> Subject:
        side = round_up(settings.resolution, backbone.preprocess.size_multiple)
        return cls(label, backbone, side, spaced(backbone.depth, settings.maps))

    @property
    def grid(self) -> Grid:
        """The grid of the last map."""
        cells = self.side // self.backbone.strides[-1]
        return cells, cells


@dataclass(frozen=True)
class PairCka:
    """CKA of two subjects; the tables of layers are [maps of left, maps of right]."""

    left: Subject
    right: Subject
    grid: Grid  # grid of the compared patches
    pooled: CkaTable
    summaries: CkaTable
    patches: CkaTable


def compare(
    subjects: Sequence[Subject],
    pairs: Sequence[tuple[int, int]],
    images: ImageList,
    settings: CkaSettings,
    device: torch.device,
    batch_size: int,
    progress: Progress,
) -> list[PairCka]:
    """Compute CKA of pairs of subjects in one pass over the images, without keeping the features of any image.

    Raises UMTError for fewer than 4 images, an image that cannot be decoded, or features that are not finite or all the
    same.
    """
    running = [RunningCka(subjects[i], subjects[j]) for i, j in pairs]
    done = 0
    for features in _features(subjects, images, settings, device, batch_size):
        for pair, (i, j) in zip(running, pairs, strict=True):
            pair.add(features[i], features[j])
        done += len(features[0].pooled)
        progress(done, len(images), "images")
    return [pair.result() for pair in running]


def pairs_of(count: int, *, every: bool) -> list[tuple[int, int]]:
    """Return pairs: the first with each other one, or each with each."""
    return [pair for pair in combinations(range(count), 2) if every or pair[0] == 0]


def spaced(depth: int, count: int) -> tuple[int, ...]:
    """Return at most `count` of the maps 0 to depth - 1, evenly spaced, the last among them."""
    number = min(depth, count)
    return tuple(-(-depth * (index + 1) // number) - 1 for index in range(number))


class RunningCka:
    """The three comparisons of a pair while images pass."""

    def __init__(self, left: Subject, right: Subject) -> None:
        self.left, self.right = left, right
        self.grid = min(left.grid, right.grid)
        self.pooled = LinearCka([f"{left.label}, pooled"], [f"{right.label}, pooled"])
        self.summaries = LinearCka(_names(left, "summary"), _names(right, "summary"))
        self.patches = LinearCka(_names(left, "map"), _names(right, "map"))

    def add(self, left: Features, right: Features) -> None:
        self.pooled.add([left.pooled], [right.pooled])
        self.summaries.add(_summaries(left), _summaries(right))
        self.patches.add(self._patches(left), self._patches(right))

    def result(self) -> PairCka:
        tables = (cka.result() for cka in (self.pooled, self.summaries, self.patches))
        return PairCka(self.left, self.right, self.grid, *tables)

    def _patches(self, features: Features) -> list[Tensor]:
        return [tokens_of(resampled(fmap.float(), self.grid)) for fmap in features.maps]


@torch.no_grad()
def _features(
    subjects: Sequence[Subject], images: ImageList, settings: CkaSettings, device: torch.device, batch_size: int
) -> Iterator[list[Features]]:
    """Yield features of each subject for one batch after the other; each subject uses its own preprocessing."""
    samples = [Sample(images.path(index), 0) for index in range(len(images))]
    for subject in subjects:
        subject.backbone.to(device).eval()
    streams = [
        decoded_batches(
            eval_images(samples, subject.backbone.preprocess, subject.side, settings.crop_pct),
            batch_size,
            decoding_threads(device),
        )
        for subject in subjects
    ]
    for batches in zip(*streams, strict=True):
        yield [
            subject.backbone(to_dtype(pixels.to(device), torch.float32, scale=True), subject.maps)
            for subject, pixels in zip(subjects, batches, strict=True)
        ]


def _summaries(features: Features) -> list[Tensor]:
    return [features.summary(index) for index in range(len(features.maps))]


def _names(subject: Subject, feature: str) -> list[str]:
    return [f"{subject.label}, {feature} {index}" for index in subject.maps]
