"""Ranks and their uncertainty: intervals of values, and the ranks that these intervals allow."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from scipy.special import stdtrit

from reports.building.statistics import mean_and_deviation
from reports.results.measurement import Measurement

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A metric of a backbone; the interval is None if one run has no estimate of its error."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Standing:
    """A backbone's rank, 1 for the best; `places` is the range of ranks that the intervals allow, None if unknown.

    Equal values share a rank.
    """

    estimate: Estimate
    place: int
    places: tuple[int, int] | None


def estimate(measurements: Sequence[Measurement], metric: str) -> Estimate:
    """Return the mean over runs and its 95% interval: Student's over runs and that over test images, added in squares.

    All runs are tested on the same images, so more runs do not reduce the error over images.
    """
    values = [value for one in measurements for value in one.values(metric)]
    mean, deviation = mean_and_deviation(values)
    runs = None if deviation is None else _student(len(values) - 1) * deviation / math.sqrt(len(values))
    images = _over_images(measurements, metric, values)
    if runs is None and images is None:
        return Estimate(mean, None)
    below, above = (math.hypot(runs or 0.0, side) for side in images or (0.0, 0.0))
    return Estimate(mean, (mean - below, mean + above))


@cache
def _student(freedom: int) -> float:
    """Return half of Student's interval of a mean, in units of its deviation."""
    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def _over_images(
    measurements: Sequence[Measurement], metric: str, values: Sequence[float]
) -> tuple[float, float] | None:
    """Average how far the runs' own intervals reach below and above their values; None if a run has no interval."""
    bounds = [bound for one in measurements if metric == one.setup.metrics[0] for bound in one.intervals if bound]
    if len(bounds) < len(values):
        return None
    below = fmean(value - float(bound["low"]) for value, bound in zip(values, bounds, strict=True))
    return below, fmean(float(bound["high"]) - value for value, bound in zip(values, bounds, strict=True))


def standings(estimates: Mapping[str, Estimate], higher_is_better: bool) -> dict[str, Standing]:
    """Return the rank of each by name. Two may change ranks only if their intervals overlap."""
    sign = 1 if higher_is_better else -1
    values = sorted(sign * one.value for one in estimates.values())
    spans = [_span(one, sign) for one in estimates.values()]
    lows, highs = sorted(low for low, _ in spans), sorted(high for _, high in spans)
    known = all(one.interval for one in estimates.values())
    return {
        name: Standing(one, 1 + _above(values, sign * one.value), _places(lows, highs, span) if known else None)
        for (name, one), span in zip(estimates.items(), spans, strict=True)
    }


def mean_place(places: Sequence[Standing]) -> tuple[float, tuple[float, float] | None]:
    """Average the rank over columns, with the range of mean ranks that the intervals allow."""
    ranges = [one.places for one in places if one.places]
    mean = fmean(one.place for one in places)
    if len(ranges) < len(places):
        return mean, None
    return mean, (fmean(first for first, _ in ranges), fmean(last for _, last in ranges))


def _span(one: Estimate, sign: int) -> tuple[float, float]:
    low, high = one.interval or (one.value, one.value)
    return (low, high) if sign > 0 else (-high, -low)


def _places(lows: Sequence[float], highs: Sequence[float], span: tuple[float, float]) -> tuple[int, int]:
    """Return best and worst rank, given all lower and all upper ends of intervals in order, and the own interval."""
    low, high = span
    return 1 + _above(lows, high), len(highs) - bisect_left(highs, low)


def _above(values: Sequence[float], limit: float) -> int:
    """Count the sorted values that are above a limit."""
    return len(values) - bisect_right(values, limit)
