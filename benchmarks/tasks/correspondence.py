"""Semantic correspondence: keypoints of an object found in another one by the nearest dense feature (PCK)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import pil_to_tensor

from benchmarks.scores import IMAGE
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.dense_maps import each_map
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from umt.correspondence.keypoints import Canvas, errors_at, predicted
from umt.correspondence.panel import SIDE as TILE_SIDE
from umt.correspondence.panel import TILES, keypoint_panel
from umt.data.contract import Dataset, Sample
from umt.data.images import decode_rgb
from umt.data.pairs import KeypointPair
from umt.errors import DeclarationError
from umt.panels import Panel, panel_details

DRAW_SEED = 20  # probe3d's
VIEWS = (0, 1, 2)  # differences of viewpoint that SPair-71k annotates
CATEGORIES = 18  # of SPair-71k, by which the cost is estimated
WHITE = (255, 255, 255)
PANELS = 6  # pairs that are drawn for people


@dataclass(frozen=True)
class CorrespondenceSettings:
    """Everything that changes the number."""

    resolution: int  # side in pixels of the square
    threshold: float  # a keypoint is right below this share of the longer side of the object's box
    pairs_per_class: int | None  # that are drawn; None for all
    cells: str  # "corners" or "centres", see `Canvas`

    def __post_init__(self) -> None:
        Canvas(self.resolution, self.cells)
        if self.threshold <= 0 or (self.pairs_per_class is not None and self.pairs_per_class < 1):
            raise DeclarationError("correspondence: threshold and pairs_per_class must be above 0")


def run(job: Job[CorrespondenceSettings]) -> Outcome:
    """Look for the keypoints of drawn pairs, class by class, so that the maps of one class are in memory at a time."""
    settings = job.settings
    pairs, draws = drawn_pairs(job.dataset, settings.pairs_per_class)
    canvas = Canvas(job.backbone.side(settings.resolution), settings.cells)
    positions = positions_of(job, pairs, canvas)
    hits = {pair.name: errors_at(positions[pair.name], pair, canvas) < settings.threshold for pair in pairs}
    shown = [pair for pair in pairs if pair.name in draws[None]]
    categories = sorted({pair.category for pair in shown})
    areas = np.array([_areas(row, pair, hits, categories) for row, pair in enumerate(shown)], dtype=np.int32)
    shares = np.array([100 * hits[pair.name].mean() if len(hits[pair.name]) else np.nan for pair in shown])
    by_class = class_shares(shown, hits)
    panels = drawn_panels(shown, positions, hits, canvas)
    return Outcome(
        metrics={
            "pck": float(np.mean(list(by_class.values()))),
            "pck_per_image": float(np.nanmean(shares)),
            "pck_per_point": 100 * float(areas[:, 2].sum() / areas[:, 4].sum()),
        },
        details={
            "pairs": len(shown),
            "keypoints": int(areas[:, 4].sum()),
            "class_pck": by_class,
            "pck_by_view_difference": {str(view): _view_pck(pairs, draws[view], hits) for view in VIEWS},
            **panel_details(TILES, panels),
        },
        raw={"areas": areas, "pck_per_image": shares, IMAGE: np.array([pair.name for pair in shown])},
        pictures={name: panel.pixels for name, panel in panels.items()},
    )


def drawn_pairs(dataset: Dataset, count: int | None) -> tuple[list[KeypointPair], dict[int | None, set[str]]]:
    """Return the pairs that are drawn, in order of class and name, and the names in each draw.

    As probe3d does, a draw is the first `count` of a shuffle of the pairs of a class: one draw of all of them (None),
    and one of those of each difference of views. It shuffles them as the file system lists them, we in order of name.
    """
    read = dataset.info.pair
    if read is None:
        raise DeclarationError(f"data set '{dataset.info.name}' declares no pairs; take spair")
    pairs = [pair for pair in map(read, dataset.reported_samples) if isinstance(pair, KeypointPair)]
    pairs.sort(key=lambda pair: (pair.category, pair.name))
    draws: dict[int | None, set[str]] = {view: set() for view in (None, *VIEWS)}
    for category in dict.fromkeys(pair.category for pair in pairs):
        for view, names in draws.items():
            names.update(_draw([pair for pair in pairs if pair.category == category], view, count))
    names = set().union(*draws.values())
    return [pair for pair in pairs if pair.name in names], draws


def _draw(pairs: Sequence[KeypointPair], view: int | None, count: int | None) -> list[str]:
    names = [pair.name for pair in pairs if view in (None, pair.view_difference)]
    random.Random(DRAW_SEED).shuffle(names)
    return names[:count]


def positions_of(job: Job[CorrespondenceSettings], pairs: Sequence[KeypointPair], canvas: Canvas) -> dict[str, Tensor]:
    """Return the predicted places of the keypoints of each pair, by its name; the pairs are in order of class."""
    groups = {category: [pair for pair in pairs if pair.category == category] for category in _categories(pairs)}
    images = {category: images_of(group) for category, group in groups.items()}
    order = [(category, image) for category, paths in images.items() for image in paths]
    maps: dict[Path, Tensor] = {}
    positions: dict[str, Tensor] = {}

    def match(start: int, batch: Tensor) -> None:
        units = F.normalize(batch.to(job.device), dim=1)
        for (category, image), fmap in zip(order[start:], units, strict=False):
            maps[image] = fmap
            if image == images[category][-1]:
                group = groups[category]
                names = [pair.name for pair in group]
                positions.update(zip(names, predicted(maps, group, canvas), strict=True))
                maps.clear()

    each_map(job, [Sample(image, 0) for _, image in order], canvas.side, match, square=padded)
    return positions


def drawn_panels(
    pairs: Sequence[KeypointPair], positions: Mapping[str, Tensor], hits: Mapping[str, np.ndarray], canvas: Canvas
) -> dict[str, Panel]:
    """Draw the first pair of the first classes that has keypoints, by the names of its class and its images."""
    firsts = {pair.category: pair for pair in reversed(pairs) if len(hits[pair.name])}
    panels = {}
    for category in sorted(firsts)[:PANELS]:
        pair = firsts[category]
        images = [padded(decode_rgb(image), TILE_SIDE).permute(1, 2, 0).numpy() for image in pair.images]
        source, truth = (canvas.shares(*part).numpy() for part in zip(pair.points, pair.sizes, strict=True))
        points = (source, truth, positions[pair.name].numpy())
        name = f"{category} {pair.images[0].stem} {pair.images[1].stem}"
        panels[name] = keypoint_panel(images[0], images[1], points, hits[pair.name])
    return panels


def images_of(pairs: Iterable[KeypointPair]) -> list[Path]:
    """Return the images of pairs, each once."""
    return list(dict.fromkeys(image for pair in pairs for image in pair.images))


def padded(image: Image.Image, side: int) -> Tensor:
    """Return an image as uint8 [3, side, side], filled up with white at the right and below, bicubic."""
    square = Image.new("RGB", (max(image.size),) * 2, WHITE)
    square.paste(image)
    return pil_to_tensor(square.resize((side, side), Image.Resampling.BICUBIC))


def class_shares(pairs: Iterable[KeypointPair], hits: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the percentage of right keypoints of each class that has any."""
    by_class: dict[str, list[np.ndarray]] = {}
    for pair in pairs:
        by_class.setdefault(pair.category, []).append(hits[pair.name])
    joined = {category: np.concatenate(parts) for category, parts in by_class.items()}
    return {category: 100 * float(values.mean()) for category, values in joined.items() if len(values)}


def _view_pck(pairs: Sequence[KeypointPair], names: set[str], hits: Mapping[str, np.ndarray]) -> float | None:
    shares = class_shares((pair for pair in pairs if pair.name in names), hits)
    return float(np.mean(list(shares.values()))) if shares else None


def _areas(row: int, pair: KeypointPair, hits: Mapping[str, np.ndarray], categories: Sequence[str]) -> list[int]:
    right, count = int(hits[pair.name].sum()), len(hits[pair.name])
    return [row, categories.index(pair.category), right, right, count]


def _categories(pairs: Iterable[KeypointPair]) -> list[str]:
    return list(dict.fromkeys(pair.category for pair in pairs))


def workload(settings: CorrespondenceSettings, sizes: Mapping[str, int]) -> Workload:
    """Count a pass of each image: SPair-71k has all ordered pairs of the images of a class."""
    _, pairs = split_sizes(sizes)
    a_class = (1 + (1 + 4 * pairs / CATEGORIES) ** 0.5) / 2  # n (n - 1) pairs of n images
    return Workload(tested=Passes(round(CATEGORIES * a_class), (settings.resolution, settings.resolution)))


TASK = Task(
    name="correspondence",
    about="keypoints of an object found in another one by the nearest dense feature",
    settings=CorrespondenceSettings,
    kinds=("keypoints",),
    metrics=(Metric("pck", "%"), Metric("pck_per_image", "%"), Metric("pck_per_point", "%")),
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
