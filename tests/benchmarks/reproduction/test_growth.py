"""Slopes over budgets against scipy's regression and Student's test of the seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.reproduction.experiment import Arm, Experiment, load_experiment
from benchmarks.reproduction.growth import growth_table, slope_interval
from umt.errors import DeclarationError

BUDGETS = {"short": ("training.epochs=2.5",), "long": ("training.epochs=25",)}


def experiment(**changes: object) -> Experiment:
    arms = (Arm("UMT", "mini-cnn"), Arm("Plain", "mini-cnn-projectors", budgets=("short",)))
    return replace(load_experiment(), arms=arms, **{"budgets": BUDGETS, **changes})  # type: ignore[arg-type]


def seeds(name: str, *values: float) -> dict[str, float]:
    return {f"{name} seed {seed}": value for seed, value in enumerate(values)}


def test_a_slope_is_that_of_a_regression_of_each_seed() -> None:
    sizes, means = [2.5, 7.5, 25.0], np.array([[30.0, 31.0, 29.0], [34.0, 36.0, 35.0], [41.0, 40.0, 42.0]])
    slopes = [stats.linregress(np.log10(sizes), means[:, seed]).slope for seed in range(3)]
    expected = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert slope_interval(sizes, means.tolist()) == pytest.approx((np.mean(slopes), expected.low, expected.high))


def test_an_arm_of_two_budgets_has_a_line_and_one_of_a_single_budget_has_none() -> None:
    values = {
        "UMT, short": {"a": seeds("UMT, short", 30, 32), "b": seeds("UMT, short", 40, 42)},
        "UMT, long": {"a": seeds("UMT, long", 40, 42), "b": seeds("UMT, long", 50, 54)},
        "Plain, short": {"a": seeds("Plain, short", 30, 32), "b": seeds("Plain, short", 40, 42)},
    }
    lines = growth_table(experiment(), values, ["a", "b"]).splitlines()
    assert lines[0] == "|  | short | long | points for ten times the budget |"
    assert lines[2:] == ["| UMT | 36.0 ± 1.4 | 46.5 ± 2.1 | +10.5 [+4.1, +16.9] |"]


def test_nothing_is_written_for_seeds_or_budgets_that_are_missing() -> None:
    values = {"UMT, short": {"a": seeds("UMT, short", 30, 32)}, "UMT, long": {"a": seeds("UMT, long", 40)}}
    assert growth_table(experiment(), values, ["a"]) == ""
    assert growth_table(experiment(budgets={"short": BUDGETS["short"]}), values, ["a"]) == ""


def test_a_budget_without_epochs_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"budget 'long' .* training\.epochs"):
        growth_table(experiment(budgets={**BUDGETS, "long": ()}), {}, ["a"])
