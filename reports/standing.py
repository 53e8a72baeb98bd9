"""Ranks with what is known of their uncertainty: intervals of values, and the ranks that these leave open."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit

from reports.store import Record

LEVEL = 0.95
INTERVAL = "interval"  # field of a result's details: 95% of its first metric over its test images, low and high


@dataclass(frozen=True)
class Estimate:
    """A metric of a backbone; the interval is None where one run says nothing of its error."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Standing:
    """A backbone's place among others, 1 for the best; `places` are those that the intervals admit, if they are known.

    Equal values share a place.
    """

    estimate: Estimate
    place: int
    places: tuple[int, int] | None


def estimate(records: Sequence[Record], metric: str) -> Estimate:
    """Mean over runs and its 95% interval: Student's over runs and that over test images, added in squares.

    All runs are tested on the same images, so that more of them do not lessen what those leave open.
    """
    values = [record.result.metrics[metric] for record in records]
    mean, runs, images = fmean(values), _over_runs(values), _over_images(records, metric)
    if runs is None and images is None:
        return Estimate(mean, None)
    below, above = (math.hypot(runs or 0.0, side) for side in images or (0.0, 0.0))
    return Estimate(mean, (mean - below, mean + above))


def _over_runs(values: Sequence[float]) -> float | None:
    """Half of Student's interval of the mean; None for one run."""
    if len(values) < 2:
        return None
    return float(stdtrit(len(values) - 1, 0.5 + LEVEL / 2) * stdev(values) / math.sqrt(len(values)))


def _over_images(records: Sequence[Record], metric: str) -> tuple[float, float] | None:
    """How far the runs' own intervals reach below and above their values, in the mean; None where one has none."""
    results = [record.result for record in records]
    bounds = [one.details.get(INTERVAL) if metric == next(iter(one.metrics)) else None for one in results]
    known = [(one.metrics[metric], bound) for one, bound in zip(results, bounds, strict=True) if bound]
    if len(known) < len(results):
        return None
    below = fmean(value - float(bound["low"]) for value, bound in known)
    return below, fmean(float(bound["high"]) - value for value, bound in known)


def standings(estimates: Mapping[str, Estimate], higher_is_better: bool) -> dict[str, Standing]:
    """The place of each by name. Two change places only where their intervals overlap."""
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
    """Mean over columns, and the means of the best and the worst places that are open."""
    ranges = [one.places for one in places if one.places]
    mean = fmean(one.place for one in places)
    if len(ranges) < len(places):
        return mean, None
    return mean, (fmean(first for first, _ in ranges), fmean(last for _, last in ranges))


def _span(one: Estimate, sign: int) -> tuple[float, float]:
    low, high = one.interval or (one.value, one.value)
    return (low, high) if sign > 0 else (-high, -low)


def _places(lows: Sequence[float], highs: Sequence[float], span: tuple[float, float]) -> tuple[int, int]:
    """Best and worst place, given the ends of all intervals in order: some are surely better, some surely worse."""
    low, high = span
    return 1 + _above(lows, high), len(highs) - bisect_left(highs, low)


def _above(values: Sequence[float], limit: float) -> int:
    """How many of the sorted values are above a limit."""
    return len(values) - bisect_right(values, limit)
