"""Verdicts, ranks, power and deciding items of columns whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, nct
from scipy.stats import t as student

from benchmarks.scores import ClassMeanScores, MeanScores
from reports.comparison.deciding import decision
from reports.comparison.tables import agreement_table
from reports.paired.power import deviations_to_detect, pair_powers
from reports.paired.ranks import agreements, overall_ranks
from reports.paired.testing import holm
from reports.paired.verdicts import probability_of_best, verdicts

LABELS = np.arange(400) % 10


def answers(count: int, start: int = 0) -> MeanScores:
    """Right on `count` items from `start` on."""
    return MeanScores(100.0 * (np.roll(np.arange(400), start) < count), LABELS)


@pytest.fixture
def three(column):  # type: ignore[no-untyped-def]
    """Two columns of three backbones: b and c are close, a is apart."""
    first = column({"a": [answers(200)], "b": [answers(300)], "c": [answers(303)]}, heading="first")
    second = column({"a": [answers(180)], "b": [answers(290)], "c": [answers(291)]}, heading="second")
    return verdicts([first, second], 1000, 0)


def test_a_pair_is_corrected_over_its_columns(three) -> None:  # type: ignore[no-untyped-def]
    for pairs in zip(*(verdict.pairs for verdict in three), strict=True):
        assert [pair.corrected_p for pair in pairs] == pytest.approx(holm([pair.p for pair in pairs]))
    holds = {(pair.first, pair.second): pair.holds for pair in three[0].pairs}
    assert holds == {("a", "b"): True, ("a", "c"): True, ("b", "c"): False}


def test_groups_join_what_no_test_separates_and_best_sums_to_one(three) -> None:  # type: ignore[no-untyped-def]
    assert three[0].groups == (("c", "b"), ("a",))
    assert sum(three[0].best.values()) == pytest.approx(1)
    assert three[0].best["c"] > 0.9
    assert probability_of_best(np.array([[1.0, 1.0], [0.0, 2.0]]), higher_is_better=True) == pytest.approx([0.25, 0.75])
    assert probability_of_best(np.array([[1.0, 1.0], [0.0, 2.0]]), higher_is_better=False) == pytest.approx(
        [0.75, 0.25]
    )


def test_ranks_are_averaged_over_columns(three) -> None:  # type: ignore[no-untyped-def]
    overall = overall_ranks(three, 0)
    assert overall is not None
    assert overall.names == ("a", "b", "c")
    assert overall.ranks == (3.0, 2.0, 1.0)
    assert overall.intervals[0] == (3.0, 3.0)
    assert overall.intervals[2][0] == 1.0
    assert overall.intervals[2][1] > 1.0  # b may be better
    assert overall_ranks(three[:1], 0) is None
    assert overall_ranks([], 0) is None


def test_lower_is_better_turns_the_ranks(column) -> None:  # type: ignore[no-untyped-def]
    depth = column({"a": [MeanScores(np.full(30, 0.3))], "b": [MeanScores(np.full(30, 0.4))]}, "rmse", "depth")
    other = column({"a": [answers(300)], "b": [answers(200)]}, heading="other")
    overall = overall_ranks(verdicts([depth, other], 200, 0), 0)
    assert overall is not None
    assert overall.ranks == (1.0, 2.0)


def test_agreement_is_kendalls_tau(column) -> None:  # type: ignore[no-untyped-def]
    counts = {"a": (10, 40), "b": (20, 90), "c": (30, 80), "d": (60, 120)}
    columns = [
        column({name: [answers(both[index])] for name, both in counts.items()}, heading=str(index)) for index in (0, 1)
    ]
    [found] = agreements(columns)
    expected = kendalltau(*zip(*counts.values(), strict=True))
    assert (found.tau, found.p, found.backbones) == (expected.statistic, expected.pvalue, 4)
    assert agreement_table([found]).title == "Agreement of columns"


def test_power_of_one_seed_is_that_of_the_normal_formula(column) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=2000), rng.normal(0.05, size=2000)]
    [verdict] = verdicts([column({"a": [MeanScores(values[0])], "b": [MeanScores(values[1])]}, "rmse")], 4000, 0)
    [power] = pair_powers(verdict)
    deviation = (values[0] - values[1]).std() / np.sqrt(2000)
    assert power.detectable == pytest.approx(2.80 * deviation, rel=0.05)
    assert deviations_to_detect(1e5) == pytest.approx(2.8016, abs=1e-3)
    assert power.items_needed == pytest.approx(2000 * (power.detectable / verdict.pairs[0].difference) ** 2, rel=0.01)


def test_noise_of_training_needs_seeds_and_no_number_of_items(column) -> None:  # type: ignore[no-untyped-def]
    items = np.zeros(5000)
    seeds = {"a": [MeanScores(items + shift) for shift in (0.9, 0.0, 0.3)], "b": [MeanScores(items)] * 3}
    [power] = pair_powers(verdicts([column(seeds, "rmse")], 1000, 0)[0])
    assert power.items_needed is None
    deviation = np.std([0.9, 0.0, 0.3], ddof=1)
    assert power.seeds_needed is not None
    for seeds, found in ((power.seeds_needed, True), (power.seeds_needed - 1, False)):
        share = power_of_t_test(0.4 / deviation * np.sqrt(seeds), seeds - 1)
        assert (share >= 0.8) == found
    assert power_of_t_test(power.detectable / deviation * np.sqrt(3), 2) == pytest.approx(0.8, abs=1e-3)


def power_of_t_test(shift: float, freedom: int) -> float:
    """The share of t-tests that find a difference of so many deviations of its mean, on the side where it is."""
    return float(nct.sf(student.ppf(0.975, freedom), freedom, shift))


def test_deciding_items_and_classes_add_up_to_the_difference(column, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    first = ClassMeanScores(100.0 * (np.arange(400) % 7 > 0), LABELS)
    second = ClassMeanScores(100.0 * (LABELS != 3), LABELS)
    paired = column({"a": [first], "b": [second]}, "mean_per_class")
    monkeypatch.setattr("reports.comparison.deciding.read_result", lambda path: paired.example)
    found = decision(paired, "a", "b")
    difference = paired.means[0] - paired.means[1]
    assert sum(part.effect for part in found.items) == pytest.approx(difference)
    assert np.mean([part.effect for part in found.classes]) == pytest.approx(difference)
    assert found.top_classes[0].name == "class 3"
    assert all(int(part.name) % 10 == 3 for part in found.top_items if part.effect > 0)
