"""The values of single test items beside a result, and the metric over items that count several times or not at all.

The arrays are those of `benchmarks/tasks/items.py`. An array of values is refused if it does not give the result's own
number: so it is known that the metric is resampled as it is defined.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from reports.results.measurement import Measurement
from umt.errors import ResultError
from umt.files import component, open_plain

IMAGE = "image"  # the array of the items' names
ARRAYS = (IMAGE, "predictions", "labels", "hits", "areas")  # and the array with the name of the metric
MAX_BYTES = 4 << 30  # of a file, and of the arrays in it
MAX_CLASSES = 1 << 16
MAX_AREAS = 1 << 28  # images times classes: 50,000 images of 5,000 classes
AGREEMENT = 1e-6  # relative, of the values' metric and the result's: sums of another order, and single precision

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

    def by_class(self) -> np.ndarray | None:
        """Return the metric [C] of each class, NaN for one that does not occur; None if there are no classes."""

    def take(self, order: np.ndarray) -> Scores:
        """Return the values in another order of the items."""


@dataclass(frozen=True)
class MeanScores:
    """The mean over items; `labels` are there for accuracies."""

    values: np.ndarray  # [N]
    labels: np.ndarray | None = None  # [N]

    @property
    def right(self) -> np.ndarray | None:
        return _right(self.values) if self.labels is not None else None

    def over(self, weights: np.ndarray) -> np.ndarray:
        means: np.ndarray = (self.values.astype(weights.dtype) @ weights) / weights.sum(axis=0)
        return means

    def effects(self) -> np.ndarray:
        return self.values / len(self.values)

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
        cells = (self.labels, np.arange(len(self.labels)))
        return csr_array((self.values, cells)), csr_array((np.ones(len(self.labels)), cells))

    def over(self, weights: np.ndarray) -> np.ndarray:
        sums, counts = (part.astype(weights.dtype) @ weights for part in self._classes)
        return _mean_of_ratios(sums, counts)

    def effects(self) -> np.ndarray:
        images = np.bincount(self.labels)
        effects: np.ndarray = self.values / images[self.labels] / np.count_nonzero(images)
        return effects

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

    def by_class(self) -> np.ndarray:
        union = self.union.sum(axis=0)
        ratios: np.ndarray = 100 * self.intersection.sum(axis=0) / np.where(union > 0, union, np.nan)
        return ratios

    def take(self, order: np.ndarray) -> IouScores:
        return IouScores(self.intersection[order], self.union[order])


@dataclass(frozen=True)
class ItemScores:
    """The values of a result in every way that gives its number, by the name of the way, and the items' names."""

    names: np.ndarray  # [N]
    ways: Mapping[str, Scores]


def read_scores(measurement: Measurement, metric: str) -> ItemScores:
    """Read the values of a result's items. Raises ResultError if there are none, or if they do not give the metric."""
    raw = _read_raw(measurement, metric)
    ways = dict(_ways(raw, metric, measurement.path))
    if not ways:
        raise ResultError(f"{measurement.path}: stores no values of single items for '{metric}'; run the job again")
    value = measurement.result.metrics[metric]
    matching = {name: scores for name, scores in ways.items() if _gives(scores, value)}
    if not matching:
        raise ResultError(f"{measurement.path}: its items do not give its {metric} {value:.6g}; run the job again")
    count = len(next(iter(matching.values())).effects())
    names = raw.get(IMAGE, np.arange(count).astype(str))
    if len(names) != count:
        raise ResultError(f"{measurement.path}: {len(names)} names for {count} items; run the job again")
    return ItemScores(names, matching)


def _ways(raw: Raw, metric: str, path: Path) -> Iterator[tuple[str, Scores]]:
    """Yield the ways in which the arrays can give the metric. `accuracy` is top-1 or the mean over classes."""
    if metric == "miou" and "areas" in raw:
        yield "miou", _iou(raw["areas"], len(raw[IMAGE]) if IMAGE in raw else None, path)
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


def _iou(areas: np.ndarray, items: int | None, path: Path) -> IouScores:
    if areas.ndim != 2 or areas.shape[1] != 5 or not _are_classes(areas[:, 1]) or areas.min() < 0:
        raise ResultError(
            f"{path}: its areas are no rows of image, class and three counts of pixels; run the job again"
        )
    image, label, *counts = areas.T
    shape = (items or int(image.max()) + 1, int(label.max()) + 1)
    if image.max() >= shape[0] or shape[0] > len(areas) or shape[0] * shape[1] > MAX_AREAS:
        raise ResultError(
            f"{path}: areas of {image.max() + 1} images and {shape[1]} classes do not fit; run the job again"
        )
    intersection, predicted, true = (
        csr_array((part.astype(np.float64), (image, label)), shape).toarray() for part in counts
    )
    return IouScores(intersection, predicted + true - intersection)


def _are_classes(labels: np.ndarray) -> bool:
    return bool(len(labels) and labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < MAX_CLASSES)


def _gives(scores: Scores, value: float) -> bool:
    [metric] = scores.over(np.ones((len(scores.effects()), 1)))
    return math.isclose(metric, value, rel_tol=AGREEMENT, abs_tol=AGREEMENT)


def _read_raw(measurement: Measurement, metric: str) -> dict[str, np.ndarray]:
    """Read the arrays that are needed, none of them pickled."""
    path, name = measurement.path, measurement.result.raw
    if name is None:
        raise ResultError(f"{path}: stores no values of single items; run the job again")
    file = path.parent / component(name)
    try:
        with open_plain(file) as handle:
            if os.fstat(handle.fileno()).st_size > MAX_BYTES:
                raise ResultError(f"{file}: more than {MAX_BYTES >> 30} GiB; run the job again")
            with np.load(handle, allow_pickle=False) as archive:
                if sum(entry.file_size for entry in archive.zip.infolist()) > MAX_BYTES:
                    raise ResultError(f"{file}: more than {MAX_BYTES >> 30} GiB of values; run the job again")
                raw = {key: archive[key] for key in {*ARRAYS, metric} & set(archive.files)}
                return _checked(raw, file)
    except ResultError:
        raise
    except Exception as error:  # of zipfile, zlib and numpy, as many as there are ways to damage a file
        raise ResultError(f"{file}: cannot be read ({type(error).__name__}); run the job again") from error


def _checked(raw: dict[str, np.ndarray], file: Path) -> dict[str, np.ndarray]:
    """Return the arrays; ResultError if names are no list of texts, or values no numbers."""
    for key, values in raw.items():
        if values.ndim == 0 or not len(values) or (key == IMAGE) != (values.dtype.kind == "U"):
            raise ResultError(f"{file}: '{key}' is {values.dtype} {list(values.shape)}; run the job again")
    if IMAGE in raw and raw[IMAGE].ndim != 1:
        raise ResultError(f"{file}: '{IMAGE}' has {raw[IMAGE].ndim} dimensions, expected 1; run the job again")
    return raw


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
