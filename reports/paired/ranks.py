"""Ranks over columns: their mean and its interval, Nemenyi's critical difference, and agreement between columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import kendalltau, rankdata

from reports.paired.pairing import PairedColumn
from reports.paired.resampling import interval
from reports.paired.testing import critical_difference, friedman
from reports.paired.verdicts import ColumnVerdict, probability_of_best


@dataclass(frozen=True)
class OverallRanks:
    """Average ranks of the backbones that every column has, 1 for the best."""

    names: tuple[str, ...]
    ranks: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]  # over columns, items and seeds
    best: tuple[float, ...]  # probability of the best average rank
    critical_difference: float
    friedman_p: float | None
    columns: int


@dataclass(frozen=True)
class ColumnAgreement:
    """Kendall's tau of two columns over the backbones that both have: how well one predicts the other."""

    first: str
    second: str
    tau: float
    p: float
    backbones: int


def overall_ranks(verdicts: Sequence[ColumnVerdict], seed: int) -> OverallRanks | None:
    """Average ranks over columns; None for fewer than two columns or backbones that have both."""
    first = verdicts[0].column.names if verdicts else ()
    common = [name for name in first if all(name in verdict.column.scores for verdict in verdicts)]
    if len(verdicts) < 2 or len(common) < 2:
        return None
    values = np.stack([_signed(verdict.column, verdict.column.means[None], common)[0] for verdict in verdicts])
    average_ranks = _average_ranks_of_draws(verdicts, common, np.random.default_rng(seed))
    return OverallRanks(
        tuple(common),
        tuple(rankdata(-values, axis=1).mean(axis=0).tolist()),
        tuple(interval(ranks) for ranks in average_ranks.T),
        tuple(probability_of_best(average_ranks, higher_is_better=False).tolist()),
        critical_difference(len(common), len(verdicts)),
        friedman(values),
        len(verdicts),
    )


def agreements(columns: Sequence[PairedColumn]) -> list[ColumnAgreement]:
    """Return the agreement of each two columns that have three backbones or more in common."""
    return [
        agreement for first, second in combinations(columns, 2) if (agreement := _agreement(first, second)) is not None
    ]


def _agreement(first: PairedColumn, second: PairedColumn) -> ColumnAgreement | None:
    common = [name for name in first.names if name in second.scores]
    if len(common) < 3:
        return None
    correlation = kendalltau(*(_signed(column, column.means[None], common)[0] for column in (first, second)))
    tau, p = float(correlation.statistic), float(correlation.pvalue)
    return ColumnAgreement(first.heading, second.heading, tau, p, len(common)) if np.isfinite(tau) else None


def _average_ranks_of_draws(
    verdicts: Sequence[ColumnVerdict], common: Sequence[str], rng: np.random.Generator
) -> np.ndarray:
    """Return average ranks [draws, M]: columns are drawn with replacement, each with items and seeds drawn anew."""
    ranks = np.stack([rankdata(-_signed(verdict.column, verdict.draws, common), axis=1) for verdict in verdicts])
    draws = ranks.shape[1]
    drawn_columns = rng.integers(0, len(verdicts), (draws, len(verdicts)))
    means: np.ndarray = ranks[drawn_columns, np.arange(draws)[:, None]].mean(axis=1)
    return means


def _signed(column: PairedColumn, values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return values [B, M] of these backbones, higher for the better."""
    signed: np.ndarray = values[:, [column.names.index(name) for name in names]]
    return signed if column.metric.higher_is_better else -signed
