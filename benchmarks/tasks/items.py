"""The values of single test items that tasks leave, and their interval: the percentile bootstrap (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.scores import Raw, Scores, scores_of
from umt.data.contract import Dataset

DRAWS = 1000
LEVEL = 95  # percent
CHUNK_VALUES = 4_000_000  # weights in memory at a time


def bootstrap_interval(scores: Scores, seed: int) -> dict[str, Any]:
    """Compute the interval of a metric over test items drawn with replacement: low, high and the method."""
    rng = np.random.default_rng(seed)
    items = len(scores.effects())
    size = max(1, CHUNK_VALUES // items)
    values = [scores.over(_times(rng, items, min(size, DRAWS - start))) for start in range(0, DRAWS, size)]
    low, high = np.percentile(np.concatenate(values), [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {"low": float(low), "high": float(high), "percent": LEVEL, "draws": DRAWS, "seed": seed}


def item_scores(metric: str, raw: Raw, reported: str = "top1") -> Scores | None:
    """Return the items that give a metric; None if the raw values do not hold it.

    reported: the metric that `accuracy` is, as papers report it for the data set: "top1" or "mean_per_class".
    """
    ways = scores_of(metric, raw)
    return ways.get(reported) if len(ways) > 1 else next(iter(ways.values()), None)


def _times(rng: np.random.Generator, items: int, draws: int) -> np.ndarray:
    """Return how often each item is drawn [items, draws]."""
    counts = [np.bincount(rng.integers(0, items, items), minlength=items) for _ in range(draws)]
    return np.stack(counts, axis=1).astype(np.float64)


def item_names(dataset: Dataset) -> np.ndarray:
    """Return the paths [N] of the reported items below the data set's folder."""
    samples, root = dataset.reported_samples, dataset.root
    paths = (
        sample.image.relative_to(root) if sample.image.is_relative_to(root) else sample.image for sample in samples
    )
    return np.array([path.as_posix() for path in paths])


def areas_of(images: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return `areas` [K, 5]: image, class, and its pixels in the intersection, the prediction and the truth.

    `images` has these three counts of each image, [classes] each.
    """
    rows = []
    for index, counts in enumerate(images):
        pixels = np.stack(counts, axis=1)
        (present,) = np.nonzero(pixels.any(axis=1))
        present = present if len(present) else np.zeros(1, dtype=np.int64)  # an image without truth is an item, too
        rows.append(np.column_stack([np.full(len(present), index), present, pixels[present]]))
    return np.concatenate(rows).astype(np.int32)
