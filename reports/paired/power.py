"""The power of a comparison: the smallest difference that it detects, and what a smaller one would take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from reports.paired.pairing import PairedColumn
from reports.paired.testing import ALPHA
from reports.paired.verdicts import ColumnVerdict, PairVerdict

POWER = 0.8  # the probability that a difference of the detectable size is found


@dataclass(frozen=True)
class PairPower:
    """The power of a pair in a column, without correction for other columns."""

    pair: PairVerdict
    detectable: float  # in the metric's unit
    items_needed: int | None  # to detect the difference that was seen; None if no number of them would do
    seeds_needed: int | None


def pair_powers(verdict: ColumnVerdict) -> list[PairPower]:
    """Return the power of each pair of a column."""
    return [_power(verdict.column, pair) for pair in verdict.pairs]


def deviations_to_detect() -> float:
    """Return the difference that is found with probability POWER, in its own deviations."""
    return float(ndtri(1 - ALPHA / 2) + ndtri(POWER))


def _power(column: PairedColumn, pair: PairVerdict) -> PairPower:
    seeds, deviation = len(column.values), abs(pair.difference) / deviations_to_detect()
    over_seeds = _variance_of_a_seed(column, pair)
    over_items = pair.deviation**2
    return PairPower(
        pair,
        deviations_to_detect() * math.sqrt(over_items + over_seeds / seeds),
        _needed(over_items * len(column.items), deviation**2 - over_seeds / seeds),
        _needed(over_seeds, deviation**2 - over_items),
    )


def _variance_of_a_seed(column: PairedColumn, pair: PairVerdict) -> float:
    """Return the variance of the difference between seeds, 0 for a single one."""
    first, second = (column.names.index(name) for name in (pair.first, pair.second))
    differences = column.values[:, first] - column.values[:, second]
    return float(differences.var(ddof=1)) if len(differences) > 1 else 0.0


def _needed(variance_of_one: float, allowed: float) -> int | None:
    """Return how many reduce a variance to what is allowed, None if nothing is allowed."""
    if allowed <= 0:
        return None
    return max(1, math.ceil(variance_of_one / allowed))
