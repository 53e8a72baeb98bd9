"""Ranks and their uncertainty: intervals of values, and the ranks that these intervals allow."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from scipy.special import stdtrit  # scipy.stats takes half a second to import

from reports.building.spread import mean_and_deviation
from reports.results.measurement import Measurement

CONFIDENCE = 0.95


@dataclass(frozen=True)
class IntervalEstimate:
    """A metric of a backbone; the interval is None if one run has no estimate of its error."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Rank:
    """A backbone's rank, 1 for the best; `possible` is the range of ranks that the intervals allow, None if unknown.

    Equal values share a rank.
    """

    estimate: IntervalEstimate
    rank: int
    possible: tuple[int, int] | None


def estimate(runs: Sequence[Measurement], metric: str) -> IntervalEstimate:
    """Return the mean over runs and its 95% interval: Student's over runs and that over test images, added in squares.

    All runs are tested on the same images, so more runs do not reduce the error over images.
    """
    values = [run.result.metrics[metric] for run in runs]
    mean, deviation = mean_and_deviation(values)
    seeds = None if deviation is None else student_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
    images = _over_images(runs, metric)
    if seeds is None and images is None:
        return IntervalEstimate(mean, None)
    below, above = (math.hypot(seeds or 0.0, side) for side in images or (0.0, 0.0))
    return IntervalEstimate(mean, (mean - below, mean + above))


@cache
def student_quantile(freedom: int) -> float:
    """Return half of Student's interval, in units of the deviation."""
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _over_images(runs: Sequence[Measurement], metric: str) -> tuple[float, float] | None:
    """Average how far the runs' own intervals reach below and above their values; None if a run has no interval."""
    bounds = [
        (run.result.metrics[metric], float(run.interval["low"]), float(run.interval["high"]))
        for run in runs
        if run.interval and metric == next(iter(run.result.metrics))
    ]
    if len(bounds) < len(runs):
        return None
    return fmean(value - low for value, low, _ in bounds), fmean(high - value for value, _, high in bounds)


def ranking(estimates: Mapping[str, IntervalEstimate], higher_is_better: bool) -> dict[str, Rank]:
    """Return the rank of each by name. Two may change ranks only if their intervals overlap."""
    sign = 1 if higher_is_better else -1
    values = sorted(sign * estimate.value for estimate in estimates.values())
    spans = [_span(estimate, sign) for estimate in estimates.values()]
    lows, highs = sorted(low for low, _ in spans), sorted(high for _, high in spans)
    known = all(estimate.interval for estimate in estimates.values())
    return {
        name: Rank(estimate, 1 + _above(values, sign * estimate.value), _possible(lows, highs, span) if known else None)
        for (name, estimate), span in zip(estimates.items(), spans, strict=True)
    }


def mean_rank(ranks: Sequence[Rank]) -> tuple[float, tuple[float, float] | None]:
    """Average the rank over columns, with the range of mean ranks that the intervals allow."""
    ranges = [rank.possible for rank in ranks if rank.possible]
    mean = fmean(rank.rank for rank in ranks)
    if len(ranges) < len(ranks):
        return mean, None
    return mean, (fmean(first for first, _ in ranges), fmean(last for _, last in ranges))


def _span(estimate: IntervalEstimate, sign: int) -> tuple[float, float]:
    low, high = estimate.interval or (estimate.value, estimate.value)
    return (low, high) if sign > 0 else (-high, -low)


def _possible(lows: Sequence[float], highs: Sequence[float], span: tuple[float, float]) -> tuple[int, int]:
    """Return best and worst rank of an interval, given the lower and the upper ends of all intervals in order."""
    low, high = span
    return 1 + _above(lows, high), len(highs) - bisect_left(highs, low)


def _above(values: Sequence[float], limit: float) -> int:
    """Count the sorted values that are above a limit."""
    return len(values) - bisect_right(values, limit)
