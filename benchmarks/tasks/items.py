"""The values of single test items, and the uncertainty that follows: the percentile bootstrap (Efron 1979).

A task leaves them in `Outcome.raw`, in the order of the reported split:
- classification: `predictions` and `labels` [N]; few-shot: `hits` [draws, N], true if right, and `labels`.
- segmentation: `areas` [K, 5], a row for each class that occurs in an image or in its prediction: the index of the
  image, the class, and the pixels of intersection, prediction and truth.
- depth: the value of each image [N] by the name of the metric.
The job adds `image` [N], the names of the items, by which results of two backbones are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from umt.data.contract import Dataset

DRAWS = 1000
LEVEL = 95  # percent

Raw = Mapping[str, np.ndarray]
MetricOfDraw = Callable[[np.ndarray], float]  # of the drawn items, by index; an item may be drawn twice


def bootstrap_interval(metric: MetricOfDraw, items: int, seed: int) -> dict[str, Any]:
    """Compute the interval of a metric over test items drawn with replacement: low, high and the method."""
    rng = np.random.default_rng(seed)
    values = [metric(rng.integers(0, items, items)) for _ in range(DRAWS)]
    low, high = np.percentile(values, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {"low": float(low), "high": float(high), "percent": LEVEL, "draws": DRAWS, "seed": seed}


def metric_of_draw(name: str, raw: Raw, reported: str = "top1") -> tuple[MetricOfDraw, int] | None:
    """Return a metric of drawn items and the number of items; None if the raw values do not hold it.

    reported: the metric that `accuracy` is, as papers report it for the data set: "top1" or "mean_per_class".
    """
    if name == "miou" and "areas" in raw:
        return _miou(raw["areas"])
    if name in ("accuracy", "top1") and "labels" in raw and ("hits" in raw or "predictions" in raw):
        right = raw["hits"].mean(axis=0) if "hits" in raw else raw["predictions"] == raw["labels"]
        return _accuracy(right, raw["labels"], name if name == "top1" else reported), len(right)
    if name in raw:
        return (lambda items: float(raw[name][items].mean())), len(raw[name])
    return None


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


def _accuracy(right: np.ndarray, labels: np.ndarray, metric: str) -> MetricOfDraw:
    """Return the accuracy by counting the shares of `right`: a thousand draws take a second."""

    def mean_per_class(items: np.ndarray) -> float:
        images = np.bincount(labels[items])
        present = images > 0
        return 100 * float((np.bincount(labels[items], weights=right[items])[present] / images[present]).mean())

    return mean_per_class if metric == "mean_per_class" else lambda items: 100 * float(right[items].mean())


def _miou(areas: np.ndarray) -> tuple[MetricOfDraw, int]:
    """Return the mean over classes that occur in the draw of intersection over union, in percent."""
    image, label, *pixels = areas.T
    items = int(image.max()) + 1
    intersection, predicted, true = (csr_array((part.astype(np.float64), (image, label))) for part in pixels)
    union = predicted + true - intersection

    def miou(draw: np.ndarray) -> float:
        times = np.bincount(draw, minlength=items)
        intersections, unions = times @ intersection, times @ union
        present = unions > 0
        return 100 * float((intersections[present] / unions[present]).mean())

    return miou, items
