"""Tests and corrections, against published values and other programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multinomial
from scipy.stats import t as student

from reports.paired.testing import bootstrap_p, critical_difference, friedman, holm, mcnemar, score_interval


def test_mcnemar_is_the_sign_test_of_the_items_that_differ() -> None:
    first = np.array([True] * 121 + [False] * 59 + [True] * 300)
    second = np.array([False] * 121 + [True] * 59 + [True] * 300)
    assert mcnemar(first, second) == pytest.approx(2 * binom.cdf(59, 180, 0.5))
    assert mcnemar(first, second) == mcnemar(second, first)
    assert mcnemar(first, first) == 1.0
    assert mcnemar(np.array([True] * 2), np.array([False] * 2)) == pytest.approx(0.5)


def test_mcnemar_and_holm_are_those_of_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.random((2, 80)) < rng.random((2, 1))
        table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
        assert mcnemar(first, second) == pytest.approx(tables.mcnemar(table, exact=True).pvalue)
        values = rng.random(12) ** 3
        assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])


def test_holm_is_that_of_r() -> None:
    # R 4: p.adjust(c(0.01, 0.02, 0.03, 0.005, 0.9), "holm")
    assert holm([0.01, 0.02, 0.03, 0.005, 0.9]) == pytest.approx([0.04, 0.06, 0.06, 0.025, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("backbones", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)]
)
def test_the_critical_difference_is_that_of_demsar(backbones: int, quantile: float) -> None:
    # table 5(a) of Demšar 2006, and his example: 4 classifiers on 14 data sets, CD 1.25
    expected = quantile * np.sqrt(backbones * (backbones + 1) / (6 * 14))
    assert critical_difference(backbones, 14) == pytest.approx(expected, rel=5e-4)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_friedman_finds_an_order_and_no_order() -> None:
    ordered = np.tile([1.0, 2.0, 3.0], (12, 1))
    p = friedman(ordered)
    assert p is not None
    assert p < 1e-4
    assert friedman(ordered[:, :2]) is None
    assert friedman(np.ones((4, 3))) is None


def test_a_bootstrap_p_is_the_share_of_draws_and_beyond_them_the_tail_of_student() -> None:
    draws = np.random.default_rng(0).standard_t(4, 20_000)
    for distance in (0.0, 1.0, 2.0, 4.0, 12.0, 40.0):
        expected = max(2 * student.sf(distance, 4), 1e-12)
        assert bootstrap_p(distance, distance + draws, 4) == pytest.approx(expected, rel=0.5 if distance > 4 else 0.15)
    assert bootstrap_p(1.0, np.ones(100), 9) == 0.0
    assert bootstrap_p(0.0, np.zeros(100), 9) == 1.0


def right_answers(gained: int, lost: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.arange(items)
    return order < gained, (order >= gained) & (order < gained + lost)


@pytest.mark.parametrize(("gained", "lost", "items"), [(9, 2, 30), (0, 1, 44), (12, 2, 50), (3, 3, 40), (1, 0, 3)])
def test_the_ends_of_a_score_interval_are_where_the_likeliest_variance_rejects(
    gained: int, lost: int, items: int
) -> None:
    """The reference finds the likeliest shares by a search, for the likelihood of the three kinds of items."""
    for end in score_interval(*right_answers(gained, lost, items)):
        shift = end / 100

        def loss(share: float, shift: float = shift) -> float:
            shares = np.maximum([share + shift, share, 1 - 2 * share - shift], 1e-15)
            return -float(np.array([gained, lost, items - gained - lost]) @ np.log(shares))

        share = minimize_scalar(loss, bounds=(max(0, -shift), (1 - shift) / 2), options={"xatol": 1e-12}).x
        deviation = np.sqrt((2 * share + shift - shift**2) / items)
        assert abs((gained - lost) / items - shift) / deviation == pytest.approx(1.95996, rel=2e-3)


def test_score_intervals_hold_the_extremes() -> None:
    assert score_interval(*right_answers(0, 0, 30)) == pytest.approx((-11.35, 11.35), abs=0.01)  # 3.84 / 33.84
    assert score_interval(*right_answers(30, 0, 30))[1] == 100.0
    assert score_interval(*right_answers(0, 30, 30))[0] == -100.0


@pytest.mark.parametrize("items", [30, 60])
def test_the_coverage_of_score_intervals_is_nominal(items: int) -> None:
    """Count over all outcomes, so without error; few outcomes cannot be at 95% everywhere."""
    outcomes = np.array([(gained, lost) for gained in range(items + 1) for lost in range(items + 1 - gained)])
    ends = np.array([score_interval(*right_answers(*outcome, items)) for outcome in outcomes.tolist()]) / 100
    kinds = np.column_stack([outcomes, items - outcomes.sum(axis=1)])
    coverage: dict[float, list[float]] = {}
    for differing in (0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.6):
        for gap in (0.0, 0.2, 0.5, 0.8):
            shares = [differing * (1 + gap) / 2, differing * (1 - gap) / 2, 1 - differing]
            inside = (ends[:, 0] <= differing * gap) & (differing * gap <= ends[:, 1])
            share = float(multinomial.pmf(kinds, items, shares)[inside].sum())
            coverage.setdefault(differing, []).append(share)
            assert share > 0.93
    for differing, values in coverage.items():
        assert np.mean(values) == pytest.approx(0.95, abs=0.01) or (items * differing < 5 and np.mean(values) > 0.95)
