"""Tests and corrections, against published values and other programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from reports.paired.testing import bootstrap_p, critical_difference, friedman, groups, holm, mcnemar


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


def test_a_bootstrap_p_is_never_zero_and_one_for_no_difference() -> None:
    assert bootstrap_p(5.0, 5.0 + np.random.default_rng(0).normal(size=999)) == pytest.approx(0.001, abs=2e-3)
    assert bootstrap_p(0.0, np.zeros(999)) == 1.0


def test_groups_are_runs_without_a_separated_pair() -> None:
    def separated(*pairs: str) -> dict[frozenset[str], bool]:
        every = [frozenset((first, second)) for first in "abcd" for second in "abcd" if first < second]
        return {pair: "".join(sorted(pair)) in pairs for pair in every}

    assert groups("abcd", separated()) == [tuple("abcd")]
    assert groups("abcd", separated("ad", "bd", "ac")) == [("a", "b"), ("b", "c"), ("c", "d")]
    assert groups("abcd", separated("ad", "bd", "cd", "ab", "ac")) == [("a",), ("b", "c"), ("d",)]
