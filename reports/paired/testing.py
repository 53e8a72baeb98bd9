"""Tests of differences, their correction, and what follows for several backbones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest, friedmanchisquare, studentized_range

ALPHA = 0.05


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the p of McNemar's exact test of right answers [N]: items that only one has right are a fair coin."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    decided = only_first + only_second
    return float(binomtest(only_first, decided, 0.5).pvalue) if decided else 1.0


def bootstrap_p(difference: float, draws: np.ndarray) -> float:
    """Return the share of draws [B] that lie as far from the difference as 0 does."""
    beyond = np.abs(draws - difference) >= abs(difference)
    return float((1 + beyond.sum()) / (1 + len(draws)))


def holm(values: Sequence[float]) -> list[float]:
    """Correct several p for their number (Holm 1979)."""
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(values)[order] * factors))
    return [float(value) for value in corrected]


def groups(order: Sequence[str], separated: Mapping[frozenset[str], bool]) -> list[tuple[str, ...]]:
    """Return the longest runs of names, in their order, in which no pair is separated; a name may be in several."""
    runs: list[tuple[str, ...]] = []
    end = 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not any(separated[frozenset((order[stop], name))] for name in order[start:stop]):
            stop += 1
        if stop > end:
            runs.append(tuple(order[start:stop]))
            end = stop
    return runs


def critical_difference(backbones: int, columns: int) -> float:
    """Return Nemenyi's difference of average ranks (Demšar 2006): q sqrt(k (k + 1) / (6 N))."""
    quantile = float(studentized_range.ppf(1 - ALPHA, backbones, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(backbones * (backbones + 1) / (6 * columns))


def friedman(values: np.ndarray) -> float | None:
    """Return the p of Friedman's test of values [columns, M] that all backbones are equal; None if it says nothing."""
    if values.shape[1] < 3 or len(values) < 2 or not np.ptp(values, axis=1).any():
        return None
    return float(friedmanchisquare(*values.T).pvalue)
