"""Tests of differences, their correction, and what follows for several backbones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtr, stdtrit
from scipy.stats import binomtest, friedmanchisquare, studentized_range

ALPHA = 0.05
FARTHEST = 10  # draws, of which a share is still known to a third of itself
TINY = 1e-30


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the p of McNemar's exact test of right answers [N]: items that only one has right are a fair coin."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    decided = only_first + only_second
    return float(binomtest(only_first, decided, 0.5).pvalue) if decided else 1.0


def score_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the 95% score interval of the difference in percent of right answers [N] (Tango 1998).

    It holds the differences that McNemar's test, with the variance under them, does not reject.
    """
    items, gained, lost = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    quantile, difference = float(ndtri(1 - ALPHA / 2)), (gained - lost) / items

    def score(shift: float) -> float:
        linear = (2 * items - gained + lost) * shift - gained - lost
        share = (math.sqrt(linear**2 + 8 * items * lost * shift * (1 - shift)) - linear) / (4 * items)
        return (difference - shift) * math.sqrt(items / max(2 * share + shift * (1 - shift), TINY))

    low = brentq(lambda shift: score(shift) - quantile, -1, difference) if score(-1) > quantile else -1.0
    high = brentq(lambda shift: score(shift) + quantile, difference, 1) if score(1) < -quantile else 1.0
    return 100 * float(low), 100 * float(high)


def bootstrap_p(difference: float, draws: np.ndarray, freedom: float) -> float:
    """Return the share of draws [B] that lie as far from the difference as 0 does.

    Few draws lie very far: beyond the FARTHEST of them it is the tail of Student's distribution that goes through them,
    so that a p can be as small as a correction over many pairs needs it.
    """
    distances = np.abs(draws - difference)
    beyond = int((distances >= abs(difference)).sum())
    if beyond >= FARTHEST or len(draws) <= FARTHEST:
        return (1 + beyond) / (1 + len(draws))
    edge, share = float(np.partition(distances, -FARTHEST)[-FARTHEST]), (1 + FARTHEST) / (1 + len(draws))
    deviations = -float(stdtrit(freedom, share / 2)) * abs(difference) / edge if edge > 0 else math.inf
    return 2 * float(stdtr(freedom, -deviations))


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
