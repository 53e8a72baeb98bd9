"""The power of a comparison: the smallest difference that it detects, and what a smaller one would take."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import nctdtrinc, stdtrit

from reports.paired.pairing import PairedColumn
from reports.paired.testing import ALPHA
from reports.paired.verdicts import ColumnVerdict, PairVerdict

MAX_NEEDED = 1_000_000_000  # items or seeds
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


def deviations_to_detect(freedom: float) -> float:
    """Return the difference that is found with probability POWER, in deviations that are known with so much freedom."""
    return float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - ALPHA / 2)))


@dataclass(frozen=True)
class DifferenceNoise:
    """The variance of a difference over one item, and over one seed."""

    of_item: float
    of_seed: float

    def detectable(self, items: int, seeds: int) -> float:
        """Return the difference that so many items and seeds detect; few seeds tell little of their own noise."""
        over_items, over_seeds = self.of_item / items, self.of_seed / seeds
        variance = over_items + over_seeds
        if variance == 0:
            return 0.0
        spread = over_items**2 / max(items - 1, 1) + over_seeds**2 / max(seeds - 1, 1)
        return deviations_to_detect(variance**2 / spread) * math.sqrt(variance)


def _power(column: PairedColumn, pair: PairVerdict) -> PairPower:
    seeds, items = len(column.values), len(column.items)
    noise = DifferenceNoise(pair.deviation**2 * items, _variance_of_a_seed(column, pair))
    difference = abs(pair.difference)
    return PairPower(
        pair,
        noise.detectable(items, seeds),
        _needed(lambda count: noise.detectable(count, seeds) <= difference, 1),
        _needed(lambda count: noise.detectable(items, count) <= difference, 2 if noise.of_seed else 1),
    )


def _variance_of_a_seed(column: PairedColumn, pair: PairVerdict) -> float:
    """Return the variance of the difference between seeds, 0 for a single one."""
    first, second = (column.names.index(name) for name in (pair.first, pair.second))
    differences = column.values[:, first] - column.values[:, second]
    return float(differences.var(ddof=1)) if len(differences) > 1 else 0.0


def _needed(detects: Callable[[int], bool], minimum: int) -> int | None:
    """Return the smallest number that detects, from the minimum on; None if MAX_NEEDED do not."""
    if not detects(MAX_NEEDED):
        return None
    return bisect_left(range(MAX_NEEDED), True, minimum, key=detects)
