"""The values of single test items, and the metric over items that count several times or not at all.

A task leaves them in `Outcome.raw`, in the order of the reported split:
- classification: `predictions` and `labels` [N]; few-shot: `hits` [draws, N], true if right, and `labels`.
- segmentation: `areas` [K, 5], a row for each class that occurs in an image or in its prediction: the index of the
  image, the class, and the pixels of intersection, prediction and truth.
- keypoints: `areas`, a row for each pair: right keypoints as intersection and prediction, all of them as truth.
- several labels: `scores` [N, C], and `truth` [N, C] as `PrecisionScores` takes it.
- retrieval, depth and video: the value of each image or object [N] by the name of the metric, not a number if it has
  none.
The job adds `image` [N], the names of the items, by which results of two backbones are paired. A task whose items are
no images names them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from benchmarks.average_precision import PrecisionScores
from umt.errors import ResultError

IMAGE = "image"  # the array of the items' names
ARRAYS = (IMAGE, "predictions", "labels", "hits", "areas", "scores", "truth")  # and that with the metric's name
MAX_CLASSES = 1 << 16
MAX_AREAS = 1 << 28  # images times classes: 50,000 images of 5,000 classes

Raw = Mapping[str, np.ndarray]


class Scores(Protocol):
    """Values of single items, and the metric that they give."""

    @property
    def right(self) -> np.ndarray | None:
        """True [N] for each item that is classified right, None if the items are not simply right or wrong."""

    def over(self, weights: np.ndarray) -> np.ndarray:
        """Compute the metric [B] over items that count weights [N, B] times."""

    def effects(self) -> np.ndarray:
        """Return the part [N] that each item has in the metric."""

    def without_each(self) -> np.ndarray | None:
        """Return the metric [N] without each item; None for means, whose drawn items spread as their formula says."""

    def by_class(self) -> np.ndarray | None:
        """Return the metric [C] of each class, NaN for one that does not occur; None if there are no classes."""

    def take(self, order: np.ndarray) -> Scores:
        """Return the values in another order of the items."""


@dataclass(frozen=True)
class MeanScores:
    """The mean over items that have a value, others are NaN; `labels` are there for accuracies."""

    values: np.ndarray  # [N]
    labels: np.ndarray | None = None  # [N]

    @property
    def right(self) -> np.ndarray | None:
        return _right(self.values) if self.labels is not None else None

    def over(self, weights: np.ndarray) -> np.ndarray:
        valued = ~np.isnan(self.values)
        counts = weights.sum(axis=0) if valued.all() else valued.astype(weights.dtype) @ weights
        means: np.ndarray = (np.nan_to_num(self.values).astype(weights.dtype) @ weights) / counts
        return means

    def effects(self) -> np.ndarray:
        effects: np.ndarray = np.nan_to_num(self.values) / np.count_nonzero(~np.isnan(self.values))
        return effects

    def without_each(self) -> None:
        return None

    def by_class(self) -> np.ndarray | None:
        return None if self.labels is None else _class_means(self.values, self.labels)

    def take(self, order: np.ndarray) -> MeanScores:
        return MeanScores(self.values[order], None if self.labels is None else self.labels[order])


@dataclass(frozen=True)
class ClassMeanScores:
    """The mean over the classes that occur of the mean over their items."""

    values: np.ndarray  # [N]
    labels: np.ndarray  # [N]

    @property
    def right(self) -> np.ndarray | None:
        return _right(self.values)

    @cached_property
    def _classes(self) -> tuple[csr_array, csr_array]:
        """The sums of values and of items by class, as matrices [C, N]."""
        position = (self.labels, np.arange(len(self.labels)))
        return csr_array((self.values, position)), csr_array((np.ones(len(self.labels)), position))

    def over(self, weights: np.ndarray) -> np.ndarray:
        sums, counts = (part.astype(weights.dtype) @ weights for part in self._classes)
        return _mean_of_ratios(sums, counts)

    def effects(self) -> np.ndarray:
        images = np.bincount(self.labels)
        effects: np.ndarray = self.values / images[self.labels] / np.count_nonzero(images)
        return effects

    def without_each(self) -> None:
        return None

    def by_class(self) -> np.ndarray:
        return _class_means(self.values, self.labels)

    def take(self, order: np.ndarray) -> ClassMeanScores:
        return ClassMeanScores(self.values[order], self.labels[order])


@dataclass(frozen=True)
class IouScores:
    """The mean over the classes that occur of intersection over union, in percent; both are sums over items."""

    intersection: np.ndarray  # pixels [N, C]
    union: np.ndarray  # pixels [N, C]

    @property
    def right(self) -> np.ndarray | None:
        return None

    def over(self, weights: np.ndarray) -> np.ndarray:
        intersection, union = (part.T.astype(weights.dtype) @ weights for part in (self.intersection, self.union))
        return 100 * _mean_of_ratios(intersection, union)

    def effects(self) -> np.ndarray:
        """Return how the metric moves, to first order, if an item counts once more."""
        intersection, union = self.intersection.sum(axis=0), self.union.sum(axis=0)
        (present,) = np.nonzero(union)
        moved = self.intersection[:, present] - self.union[:, present] * (intersection / np.maximum(union, 1))[present]
        effects: np.ndarray = 100 * (moved / union[present]).mean(axis=1)
        return effects

    def without_each(self) -> np.ndarray:
        rest = (part.sum(axis=0)[:, None] - part.T for part in (self.intersection, self.union))
        return 100 * _mean_of_ratios(*rest)

    def by_class(self) -> np.ndarray:
        union = self.union.sum(axis=0)
        ratios: np.ndarray = 100 * self.intersection.sum(axis=0) / np.where(union > 0, union, np.nan)
        return ratios

    def take(self, order: np.ndarray) -> IouScores:
        return IouScores(self.intersection[order], self.union[order])


def scores_of(metric: str, raw: Raw) -> dict[str, Scores]:
    """Return each way in which the arrays can give a metric: `accuracy` is top-1 or the mean over classes.

    Raises ResultError if the areas of classes are none.
    """
    return dict(_ways(metric, raw))


def _ways(metric: str, raw: Raw) -> Iterator[tuple[str, Scores]]:
    if metric in ("miou", "pck") and "areas" in raw:
        yield metric, _iou(raw["areas"], len(raw[IMAGE]) if IMAGE in raw else None)
    elif metric in ("map", "map_11") and "truth" in raw:
        yield metric, _precision(raw, levels=metric == "map_11")
    elif metric in raw and raw[metric].ndim == 1:
        yield "mean", MeanScores(raw[metric].astype(np.float64))
    elif metric in ("accuracy", "top1", "mean_per_class") and "labels" in raw:
        values = _shares(raw)
        if values is not None and metric != "mean_per_class":
            yield "top1", MeanScores(values, raw["labels"])
        if values is not None and metric != "top1":
            yield "mean_per_class", ClassMeanScores(values, raw["labels"])


def _shares(raw: Raw) -> np.ndarray | None:
    """Return the percentage [N] of draws in which each item is right, None if the arrays do not fit each other."""
    labels = raw["labels"]
    answers = raw["hits"] if "hits" in raw else raw.get("predictions")
    if answers is None or labels.ndim != 1 or answers.shape[-1] != len(labels) or not _are_classes(labels):
        return None
    right = answers.mean(axis=0) if "hits" in raw else answers == labels
    return 100.0 * right


def _precision(raw: Raw, levels: bool) -> PrecisionScores:
    scores, truth = raw.get("scores", np.empty(0)), raw["truth"]
    fits = scores.ndim == 2 and scores.shape == truth.shape and scores.dtype.kind == "f"
    if not fits or not np.isfinite(scores).all() or not np.isin(truth, (-1, 0, 1)).all():
        raise ResultError("its scores and truth are no finite numbers and no -1, 0 or 1 alike; run the job again")
    return PrecisionScores(scores, truth, levels)


def _iou(areas: np.ndarray, items: int | None) -> IouScores:
    if areas.ndim != 2 or areas.shape[1] != 5 or not _are_classes(areas[:, 1]) or areas.min() < 0:
        raise ResultError("its areas are no rows of image, class and three counts of pixels; run the job again")
    image, label, *counts = areas.T
    shape = (items or int(image.max()) + 1, int(label.max()) + 1)
    if image.max() >= shape[0] or shape[0] > len(areas) or shape[0] * shape[1] > MAX_AREAS:
        raise ResultError(f"areas of {image.max() + 1} images and {shape[1]} classes do not fit; run the job again")
    intersection, predicted, true = (
        csr_array((part.astype(np.float64), (image, label)), shape).toarray() for part in counts
    )
    return IouScores(intersection, predicted + true - intersection)


def _are_classes(labels: np.ndarray) -> bool:
    return bool(len(labels) and labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < MAX_CLASSES)


def _right(values: np.ndarray) -> np.ndarray | None:
    """Return true for percentages of 100, None if there are others than 0 and 100."""
    right: np.ndarray = values == 100
    return right if bool((right | (values == 0)).all()) else None


def _class_means(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    images = np.bincount(labels)
    means: np.ndarray = np.bincount(labels, weights=values) / np.where(images > 0, images, np.nan)
    return means


def _mean_of_ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Average the ratios [C, B] over the classes whose whole is not 0."""
    present = wholes > 0
    ratios = np.divide(parts, wholes, out=np.zeros_like(wholes), where=present)
    means: np.ndarray = ratios.sum(axis=0, dtype=np.float64) / present.sum(axis=0)
    return means
