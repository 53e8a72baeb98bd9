"""Mean average precision of classes that each rank the same items, some of which do not count for a class.

Items of one score are one threshold, as in scikit-learn. Precision is highest where an item of the class is found, so
that only the thresholds with such an item are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

LEVELS = np.linspace(0, 1, 11)  # of recall; some are an ulp above their decimal, as 0:0.1:1 in the devkit's MATLAB is


@dataclass(frozen=True)
class PrecisionScores:
    """The mean over classes of average precision in percent; a class that no item has does not count.

    With `levels` it is VOC 2007's: the mean over eleven levels of recall of the best precision at that recall or a
    higher one. Otherwise it is the plain one, the sum of precisions times steps of recall.
    """

    scores: np.ndarray  # [N, C]
    truth: np.ndarray  # [N, C], 1 for an item of the class, 0 for another one, -1 for one that does not count
    levels: bool

    @property
    def right(self) -> None:
        return None

    @cached_property
    def _segments(self) -> list[tuple[csr_array, csr_array]]:
        """The items of each class, and all that count, between a threshold and the one before, as matrices [T, N]."""
        columns = zip(self.scores.T, self.truth.T, strict=True)
        return [_segments_of(scores, truth) for scores, truth in columns]

    def over(self, weights: np.ndarray) -> np.ndarray:
        parts = (tuple(part.astype(weights.dtype) @ weights for part in pair) for pair in self._segments)
        return self._mean(parts, weights.shape[1])

    def without_each(self) -> np.ndarray:
        return self._without_each

    def effects(self) -> np.ndarray:
        """Return how much lower the metric is without each item."""
        effects: np.ndarray = self.over(np.ones((len(self.scores), 1))) - self._without_each
        return effects

    @cached_property
    def _without_each(self) -> np.ndarray:
        parts = (tuple(part.sum(axis=1)[:, None] - part.toarray() for part in pair) for pair in self._segments)
        return self._mean(parts, len(self.scores))

    def by_class(self) -> np.ndarray:
        return np.array([self._average(*(part.sum(axis=1)[:, None] for part in pair))[0] for pair in self._segments])

    def take(self, order: np.ndarray) -> PrecisionScores:
        return PrecisionScores(self.scores[order], self.truth[order], self.levels)

    def _mean(self, parts: Iterator[tuple[np.ndarray, ...]], columns: int) -> np.ndarray:
        """Average over the classes that have an item, for each of the columns."""
        total, present = np.zeros(columns), np.zeros(columns)
        for hits, items in parts:
            values = self._average(hits, items)
            total += np.nan_to_num(values)
            present += ~np.isnan(values)
        return np.divide(total, present, out=np.full(columns, np.nan), where=present > 0)

    def _average(self, hits: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the average precision [B] of segments [T, B], not a number without an item of the class."""
        hits, items = hits.cumsum(axis=0, dtype=np.float64), items.cumsum(axis=0, dtype=np.float64)
        positives = hits[-1] if len(hits) else np.zeros(hits.shape[1])
        precision = np.divide(hits, items, out=np.zeros_like(hits), where=items > 0)
        recall = np.divide(hits, positives, out=np.zeros_like(hits), where=positives > 0)
        average = _at_levels if self.levels else _below
        return np.where(positives > 0, 100 * average(precision, recall), np.nan)


def _segments_of(scores: np.ndarray, truth: np.ndarray) -> tuple[csr_array, csr_array]:
    """Return the matrices [T, N] of one class; items behind the last of the class are in no segment."""
    thresholds = np.unique(scores[truth == 1])
    segment = len(thresholds) - np.searchsorted(thresholds, scores, side="right")
    shape = (len(thresholds), len(scores))
    hits, items = (np.flatnonzero(counted & (segment < shape[0])) for counted in (truth == 1, truth >= 0))
    return _ones(segment[hits], hits, shape), _ones(segment[items], items, shape)


def _ones(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows)), (rows, columns)), shape)


def _at_levels(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    best = [np.max(precision, axis=0, where=recall >= level, initial=0) for level in LEVELS]
    means: np.ndarray = np.mean(best, axis=0)
    return means


def _below(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    sums: np.ndarray = (precision * np.diff(recall, axis=0, prepend=0)).sum(axis=0)
    return sums
