"""Intervals and places against other formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.standing import Estimate, estimate, mean_place, standings


def test_the_interval_over_runs_is_students(record, cub) -> None:  # type: ignore[no-untyped-def]
    values = [80.0, 82.5, 81.0]
    found = estimate([record(cub, value, seed=seed) for seed, value in enumerate(values)], "accuracy")
    assert found.value == pytest.approx(np.mean(values))
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert found.interval == pytest.approx(expected)


def test_one_run_has_the_interval_that_it_measured_or_none(record, cub) -> None:  # type: ignore[no-untyped-def]
    assert estimate([record(cub, 80.0)], "accuracy") == Estimate(80.0, None)
    measured = record(cub, 80.0, details={"interval": {"low": 78, "high": 82.5, "percent": 95}})
    assert estimate([measured], "accuracy") == Estimate(80.0, (78.0, 82.5))


@pytest.mark.parametrize("higher", [True, False])
def test_places_are_shared_by_equals_and_open_where_intervals_meet(higher: bool) -> None:
    sign = 1 if higher else -1
    values = {"a": (90, 2), "b": (90, 2), "c": (87, 1.5), "d": (50, 1)}
    estimates = {
        name: Estimate(sign * value, (min(ends), max(ends)))
        for name, (value, half) in values.items()
        for ends in [(sign * (value - half), sign * (value + half))]
    }
    found = standings(estimates, higher)
    assert [found[name].place for name in "abcd"] == [1, 1, 3, 4]
    assert [found[name].places for name in "abcd"] == [(1, 3), (1, 3), (1, 3), (4, 4)]


def test_an_unknown_interval_leaves_all_places_unknown() -> None:
    found = standings({"a": Estimate(1.0, (0.9, 1.1)), "b": Estimate(2.0, None)}, higher_is_better=True)
    assert [found[name].places for name in "ab"] == [None, None]
    assert mean_place(list(found.values())) == (1.5, None)


def test_the_mean_place_lies_between_the_means_of_open_places() -> None:
    close = standings({"a": Estimate(1.0, (0.0, 2.0)), "b": Estimate(1.5, (0.5, 2.5))}, higher_is_better=True)
    clear = standings({"a": Estimate(9.0, (8.0, 9.5)), "b": Estimate(1.5, (0.5, 2.5))}, higher_is_better=True)
    assert mean_place([close["a"], clear["a"]]) == (1.5, (1.0, 1.5))
