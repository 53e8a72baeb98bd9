"""Verdicts on each pair of backbones in each column, corrected for their number, and the groups that no test separates.

A pair's p is corrected over the columns in which it is compared; for the groups of a column, over the pairs in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from reports.paired.pairing import PairedColumn
from reports.paired.resampling import Resampled, interval, resample
from reports.paired.testing import ALPHA, bootstrap_p, groups, holm, mcnemar, score_interval

McNEMAR, BOOTSTRAP = "McNemar", "bootstrap"


@dataclass(frozen=True)
class PairVerdict:
    """The difference of two backbones in a column, in its unit: the first minus the second."""

    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    deviation: float  # over items: the deviation of the differences of other items
    p: float
    test: str  # the test of `p`
    mcnemar_p: float | None  # of right and wrong answers, None if the column or its seeds have more than these two
    unpaired_p: float  # as if the two were tested on different items
    overlap: bool  # true if the two unpaired intervals overlap
    corrected_p: float = 1.0  # Holm's, over the columns of the pair

    @property
    def holds(self) -> bool:
        """True if the difference is significant after correction."""
        return self.corrected_p < ALPHA


@dataclass(frozen=True)
class ColumnVerdict:
    """All pairs of a column."""

    column: PairedColumn
    draws: np.ndarray  # the metric as other items and seeds might have given it [draws, M]
    pairs: tuple[PairVerdict, ...]
    separated: Mapping[frozenset[str], bool]  # by the two names, after Holm's correction over the pairs of the column
    groups: tuple[tuple[str, ...], ...]  # from the best on, of names that are not separated
    best: Mapping[str, float]  # probability of being the best

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The interval of each backbone alone."""
        return {name: interval(values) for name, values in zip(self.column.names, self.draws.T, strict=True)}


def verdicts(columns: Sequence[PairedColumn], draws: int, seed: int) -> list[ColumnVerdict]:
    """Compare all pairs in each column."""
    uncorrected = [_verdict(column, resample(column, draws, seed + index)) for index, column in enumerate(columns)]
    corrected = _over_columns(uncorrected)
    return [
        replace(
            verdict,
            pairs=tuple(replace(pair, corrected_p=corrected[index, pair.first, pair.second]) for pair in verdict.pairs),
        )
        for index, verdict in enumerate(uncorrected)
    ]


def probability_of_best(draws: np.ndarray, higher_is_better: bool) -> np.ndarray:
    """Return the share [M] of draws [B, M] in which each is the best; the best of a draw share it."""
    best = draws == (draws.max if higher_is_better else draws.min)(axis=1, keepdims=True)
    shares: np.ndarray = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def _verdict(column: PairedColumn, resampled: Resampled) -> ColumnVerdict:
    names, better, draws = column.names, column.metric.higher_is_better, resampled.values
    intervals = [interval(values) for values in draws.T]
    pairs = tuple(_pair(column, resampled, intervals, *indices) for indices in combinations(range(len(names)), 2))
    order = [names[index] for index in np.argsort(-column.means if better else column.means, kind="stable")]
    best = dict(zip(names, probability_of_best(draws, better).tolist(), strict=True))
    separated = _separated(pairs)
    return ColumnVerdict(column, draws, pairs, separated, tuple(groups(order, separated)), best)


def _pair(
    column: PairedColumn, resampled: Resampled, intervals: Sequence[tuple[float, float]], first: int, second: int
) -> PairVerdict:
    names, difference = column.names, float(column.means[first] - column.means[second])
    draws, over_items = resampled.values, resampled.over_items
    differences = draws[:, first] - draws[:, second]
    unpaired = draws[:, first] - np.roll(draws[:, second], 1)  # each with its own items and seeds
    right = _right(column, names[first], names[second])
    exact = mcnemar(*right) if right else None
    sound = right is not None and _is_top1(column)
    freedom = max(1, (len(column.seeds) if column.seeded else len(column.items)) - 1)
    (low, high), (other_low, other_high) = intervals[first], intervals[second]
    return PairVerdict(
        names[first],
        names[second],
        difference,
        score_interval(*right) if right and sound else interval(differences),
        float((over_items[:, first] - over_items[:, second]).std()),
        exact if exact is not None and sound else bootstrap_p(difference, differences, freedom),
        McNEMAR if sound else BOOTSTRAP,
        exact,
        bootstrap_p(difference, unpaired, freedom),
        low <= other_high and other_low <= high,
    )


def _right(column: PairedColumn, first: str, second: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the right answers of two; None if items are not simply right or wrong, or if seeds differ."""
    seeds = [column.scores[first], column.scores[second]]
    if any(len(scores) > 1 for scores in seeds):
        return None
    right = [scores[0].right for scores in seeds]
    return (right[0], right[1]) if right[0] is not None and right[1] is not None else None


def _is_top1(column: PairedColumn) -> bool:
    """Return true if the metric is the share of right items, which McNemar's test is about."""
    scores = next(iter(column.scores.values()))[0]
    right = scores.right
    return right is not None and bool(np.isclose(100 * right.mean(), scores.effects().sum()))


def _separated(pairs: Sequence[PairVerdict]) -> dict[frozenset[str], bool]:
    corrected = holm([pair.p for pair in pairs])
    return {frozenset((pair.first, pair.second)): p < ALPHA for pair, p in zip(pairs, corrected, strict=True)}


def _over_columns(verdicts: Sequence[ColumnVerdict]) -> dict[tuple[int, str, str], float]:
    """Return Holm's p of each pair in each column, by the column's index and the pair."""
    families: dict[frozenset[str], list[tuple[tuple[int, str, str], float]]] = {}
    for index, verdict in enumerate(verdicts):
        for pair in verdict.pairs:
            families.setdefault(frozenset((pair.first, pair.second)), []).append(
                ((index, pair.first, pair.second), pair.p)
            )
    return {
        key: corrected
        for family in families.values()
        for (key, _), corrected in zip(family, holm([p for _, p in family]), strict=True)
    }
