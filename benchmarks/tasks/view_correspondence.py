"""Geometric correspondence: points of a scene found in another view of it by the nearest dense feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from benchmarks.scores import IMAGE
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from umt.correspondence.views import MatchErrors, pair_errors, turn
from umt.data.contract import Dataset
from umt.data.pairs import PosedPair, PosedView
from umt.errors import DeclarationError, NotFiniteError

UPSAMPLINGS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class ViewCorrespondenceSettings:
    """Everything that changes the number."""

    size: tuple[int, int]  # height, width of the images in pixels
    grid: tuple[int, int]  # rows, columns of the points that are matched
    upsampling: str  # of features to the grid
    matches: int  # that count of each pair, the surest first
    metres: tuple[float, ...]  # a match is right below this error in space; the middle one is the metric
    pixels: tuple[float, ...]  # and below this one in the image
    cell: int  # such pixels a side of a cell of the grid
    angles: tuple[float, ...]  # degrees between which pairs are averaged
    resolution: int | None = None  # pixels of the shorter side, with the ratio of `size`; None for `size`

    def __post_init__(self) -> None:
        if self.upsampling not in UPSAMPLINGS:
            raise DeclarationError(f"upsampling is '{self.upsampling}'; write one of {', '.join(UPSAMPLINGS)}")
        if not self.metres or not self.pixels or self.matches < 1:
            raise DeclarationError("view_correspondence: metres, pixels and matches must not be empty")

    @property
    def passed_size(self) -> tuple[int, int]:
        """The height and width of the images in pixels, before they grow to those that a backbone takes."""
        height, width = self.size
        scale = (self.resolution or min(self.size)) / min(self.size)
        return round(height * scale), round(width * scale)


def run(job: Job[ViewCorrespondenceSettings]) -> Outcome:
    """Match the views of each pair; an image of several pairs passes through the backbone once."""
    settings = job.settings
    pairs = posed_pairs(job.dataset)
    errors = [error for _, error in _each_error(job, pairs)]
    metres = {limit: recalls([error.metres for error in errors], limit) for limit in settings.metres}
    pixels = {limit: recalls([settings.cell * error.pixels for error in errors], limit) for limit in settings.pixels}
    raw = {"recall_3d": _middle(metres, settings.metres), "recall_2d": _middle(pixels, settings.pixels)}
    turns = np.array([turn(pair.motion) for pair in pairs])
    return Outcome(
        metrics={name: float(values.mean()) for name, values in raw.items()},
        details={
            "pairs": len(pairs),
            "recall_by_metres": {f"{limit:g}": float(values.mean()) for limit, values in metres.items()},
            "recall_by_pixels": {f"{limit:g}": float(values.mean()) for limit, values in pixels.items()},
            **{f"{name}_by_angle": by_angle(values, turns, settings.angles) for name, values in raw.items()},
        },
        raw={**raw, IMAGE: np.array([pair.name for pair in pairs])},
    )


def posed_pairs(dataset: Dataset) -> list[PosedPair]:
    """Return the reported pairs of views; UMTError if the data set has none."""
    read = dataset.info.pair
    if read is None:
        raise DeclarationError(f"data set '{dataset.info.name}' declares no pairs; take navi or scannet_pairs")
    return [pair for pair in map(read, dataset.reported_samples) if isinstance(pair, PosedPair)]


@torch.no_grad()
def _each_error(
    job: Job[ViewCorrespondenceSettings], pairs: Sequence[PosedPair]
) -> Iterator[tuple[PosedPair, MatchErrors]]:
    """Yield the errors of each pair; views stay in memory until the last pair that needs them."""
    settings = job.settings
    backbone = job.backbone.to(job.device).eval()
    size = Passes(size=settings.passed_size).fitted(backbone.preprocess)
    last = {image: number for number, pair in enumerate(pairs) for image in pair.images}
    views: dict[Path, tuple[PosedView, Tensor]] = {}
    for number, pair in enumerate(pairs):
        for image in pair.images:
            if image not in views:
                view = pair.load(image, size, settings.grid)
                pixels = to_dtype(view.pixels[None].to(job.device), torch.float32, scale=True)
                views[image] = (view, _finite(backbone(pixels, maps=(-1,)).maps[0][0].float(), image, job))
        (source, source_map), (target, target_map) = (views[image] for image in pair.images)
        yield pair, pair_errors((source_map, target_map), (source, target), pair, settings.matches, settings.upsampling)
        for image in set(pair.images):
            if last[image] == number:
                del views[image]
        job.progress(number + 1, len(pairs), "pairs")


def _finite(fmap: Tensor, image: Path, job: Job[ViewCorrespondenceSettings]) -> Tensor:
    if not fmap.isfinite().all():
        raise NotFiniteError(
            f"{image}: backbone '{job.backbone.spec}' gives features that are not finite; check its weights"
        )
    return fmap


def recalls(errors: Sequence[np.ndarray], limit: float) -> np.ndarray:
    """Return the percentage of each pair's matches with an error below the limit."""
    return np.array([100 * float((error < limit).mean()) for error in errors])


def by_angle(values: np.ndarray, turns: np.ndarray, angles: Sequence[float]) -> dict[str, float | None]:
    """Average values of pairs between one angle and the next; None if there are no such pairs."""
    means: dict[str, float | None] = {}
    for low, high in pairwise(angles):
        inside = (turns >= low) & (turns < high)
        means[f"{low:g}-{high:g}"] = float(values[inside].mean()) if inside.any() else None
    return means


def _middle(values: Mapping[float, np.ndarray], limits: Sequence[float]) -> np.ndarray:
    return values[limits[len(limits) // 2]]


def workload(settings: ViewCorrespondenceSettings, sizes: Mapping[str, int]) -> Workload:
    """Count two passes of a pair, at most, and the similarities of its points."""
    _, pairs = split_sizes(sizes)
    points = settings.grid[0] * settings.grid[1]

    def solve(width: int, classes: int) -> float:
        return float(pairs) * points**2 * width

    return Workload(tested=Passes(2 * pairs, settings.passed_size), solve=solve)


TASK = Task(
    name="view_correspondence",
    about="points of a scene found in another view of it by the nearest dense feature",
    settings=ViewCorrespondenceSettings,
    kinds=("views",),
    metrics=(Metric("recall_3d", "%"), Metric("recall_2d", "%")),
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
