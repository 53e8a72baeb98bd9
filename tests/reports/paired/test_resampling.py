"""The bootstrap against its closed form, and by simulation the coverage of its intervals and the size of its tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pytest
from scipy.stats import binom, norm, ttest_1samp

from benchmarks.scores import ClassMeanScores, IouScores, MeanScores, Scores
from reports.paired.resampling import interval, item_weights, resample, resample_items, seed_errors
from reports.paired.verdicts import ColumnVerdict, verdicts

SIMULATIONS = 300
DRAWS = 300
Drawn = Mapping[str, Sequence[Scores]]


def test_weights_count_drawn_items() -> None:
    weights = np.concatenate(list(item_weights(50, 4000, np.random.default_rng(0))), axis=1)
    assert weights.shape == (50, 4000)
    assert (weights.sum(axis=0) == 50).all()
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.02)  # of a multinomial count


def test_the_deviation_of_a_mean_is_that_of_the_formula() -> None:
    values = np.random.default_rng(1).normal(size=400)
    drawn = resample_items([(MeanScores(values),)], 400, 8000, np.random.default_rng(2))
    assert drawn.std() == pytest.approx(values.std() / 20, rel=0.03)
    assert interval(drawn[:, 0]) == pytest.approx(
        values.mean() + 1.96 * values.std() / 20 * np.array([-1, 1]), abs=0.01
    )


def test_errors_of_seeds_are_those_of_a_paired_t_test() -> None:
    values = np.random.default_rng(3).normal(size=(4, 2)) + np.arange(4)[:, None]
    errors = seed_errors(values, 200_000, np.random.default_rng(4))
    differences = values[:, 0] - values[:, 1]
    expected = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert interval(differences.mean() + errors[:, 0] - errors[:, 1]) == pytest.approx(expected, rel=0.03)
    assert not seed_errors(values[:1], 5, np.random.default_rng(0)).any()


def test_backbones_are_computed_on_the_same_items(column) -> None:  # type: ignore[no-untyped-def]
    values = np.random.default_rng(5).gamma(5, size=200)
    drawn = resample(column({"a": [MeanScores(values)], "b": [MeanScores(values - 1)]}, "rmse"), 500, 0).values
    assert drawn[:, 0] - drawn[:, 1] == pytest.approx(np.ones(500), abs=1e-5)


def right_answers(items: int, seeds: int, gap: float, rng: np.random.Generator, own: float = 0.5) -> Drawn:
    """Answers that depend on the difficulty of an item, and on the backbone, the seed and the item together."""
    hard, labels = rng.normal(size=items), rng.integers(0, 10, items)
    return {
        name: [
            MeanScores(100.0 * (skill + 0.05 * (seeds > 1) * rng.normal() + noise > hard), labels)
            for noise in own * rng.normal(size=(seeds, items))
        ]
        for name, skill in (("a", 1.0 + gap), ("b", 1.0))
    }


def true_value(seeds: int, gap: float, own: float = 0.5) -> float:
    return 100 * float(norm.cdf((1 + gap) / math.sqrt(1 + own**2 + 0.05**2 * (seeds > 1))))


def true_gap(seeds: int, gap: float) -> float:
    return true_value(seeds, gap) - true_value(seeds, 0.0)


def class_means(items: int, rng: np.random.Generator) -> Drawn:
    return {
        name: [ClassMeanScores(scores.values, scores.labels) for scores in seeds]  # type: ignore[attr-defined]
        for name, seeds in right_answers(items, 1, 0.0, rng).items()
    }


def overlaps(items: int, rng: np.random.Generator) -> Drawn:
    size = rng.gamma(1.0, 200, (items, 6)) * (rng.random((items, 6)) < 0.5)
    shares = [np.clip(0.7 + 0.15 * rng.normal(size=(items, 1)) + 0 * size, 0.05, 0.95) for _ in range(2)]
    return {name: [IouScores(size * share, 2 * size - size * share)] for name, share in zip("ab", shares, strict=True)}


def errors(items: int, rng: np.random.Generator) -> Drawn:
    hard = rng.gamma(5, 0.1, items)
    return {name: [MeanScores(hard * np.exp(0.1 * rng.normal(size=items)))] for name in "ab"}


def simulate(  # type: ignore[no-untyped-def]
    column, make: Callable[[np.random.Generator], Drawn], metric: str = "top1", simulations: int = SIMULATIONS
) -> list[ColumnVerdict]:
    rng = np.random.default_rng(7)
    return [verdicts([column(make(rng), metric)], DRAWS, seed)[0] for seed in range(simulations)]


def covered(found: Sequence[ColumnVerdict], truth: float) -> float:
    return _share(pair.interval[0] <= truth <= pair.interval[1] for one in found for pair in one.pairs)


def alone_covered(found: Sequence[ColumnVerdict], truth: float) -> float:
    return _share(one.intervals["a"][0] <= truth <= one.intervals["a"][1] for one in found)


def rejected(found: Sequence[ColumnVerdict]) -> float:
    return _share(pair.p < 0.05 for one in found for pair in one.pairs)


def unpaired_rejected(found: Sequence[ColumnVerdict]) -> float:
    return _share(pair.unpaired_p < 0.05 for one in found for pair in one.pairs)


def _share(outcomes: Iterable[bool]) -> float:
    return float(np.mean(list(outcomes)))


def least(simulations: int = SIMULATIONS) -> float:
    """The share of simulations that an interval of 95% misses in one of a thousand runs."""
    return float(binom.ppf(0.001, simulations, 0.95)) / simulations


def most(simulations: int = SIMULATIONS) -> float:
    """The share of simulations that a test of 5% exceeds in one of a thousand runs."""
    return float(binom.ppf(0.999, simulations, 0.05)) / simulations


@pytest.mark.slow
@pytest.mark.parametrize("items", [30, 100, 1000, 10_000])
@pytest.mark.parametrize("seeds", [1, 3])
def test_coverage_and_size_of_accuracies(column, items: int, seeds: int) -> None:  # type: ignore[no-untyped-def]
    simulations = SIMULATIONS if items < 10_000 else SIMULATIONS // 3
    for gap in (0.0, 0.3):
        found = simulate(column, lambda rng, gap=gap: right_answers(items, seeds, gap, rng), simulations=simulations)
        assert covered(found, true_gap(seeds, gap)) >= least(simulations)
        assert alone_covered(found, true_value(seeds, gap)) >= least(simulations)
        if not gap:
            assert rejected(found) <= most(simulations)
            assert unpaired_rejected(found) <= most(simulations)


@pytest.mark.slow
@pytest.mark.parametrize("items", [30, 100, 1000])
@pytest.mark.parametrize(("make", "metric"), [(class_means, "mean_per_class"), (overlaps, "miou"), (errors, "rmse")])
def test_coverage_and_size_of_other_metrics(column, make, metric: str, items: int) -> None:  # type: ignore[no-untyped-def]
    found = simulate(column, lambda rng: make(items, rng), metric)
    assert covered(found, 0.0) >= least()
    assert rejected(found) <= most()
    assert unpaired_rejected(found) <= most()


@pytest.mark.slow
def test_ties_are_no_difference_and_unpaired_tests_see_less(column) -> None:  # type: ignore[no-untyped-def]
    almost = simulate(column, lambda rng: right_answers(1000, 1, 0.0, rng, own=0.02))  # some 1% of items differ
    assert rejected(almost) <= most()
    assert covered(almost, 0.0) >= least()
    apart = simulate(column, lambda rng: right_answers(300, 1, 0.2, rng, own=0.1))
    assert rejected(apart) > unpaired_rejected(apart) + 0.3


def test_equal_answers_have_p_one(column) -> None:  # type: ignore[no-untyped-def]
    same = MeanScores(100.0 * (np.arange(50) % 3 > 0), np.zeros(50, dtype=int))
    [verdict] = verdicts([column({"a": [same], "b": [same]})], 200, 0)
    assert verdict.pairs[0].p == 1.0
    assert verdict.pairs[0].test == "McNemar"
    assert verdict.groups == (("a", "b"),)
    assert verdict.pairs[0].interval[0] < 0 < verdict.pairs[0].interval[1]
