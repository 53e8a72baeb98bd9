"""Intervals and places against other formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.building.ranking import IntervalEstimate, estimate, mean_rank, ranking


def test_the_interval_over_runs_is_students(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    values = [80.0, 82.5, 81.0]
    found = estimate([measurement(cub, value, seed=seed) for seed, value in enumerate(values)], "accuracy")
    assert found.value == pytest.approx(np.mean(values))
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert found.interval == pytest.approx(expected)


def test_one_run_has_the_interval_that_it_measured_or_none(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    assert estimate([measurement(cub, 80.0)], "accuracy") == IntervalEstimate(80.0, None)
    measured = measurement(cub, 80.0, details={"interval": {"low": 78, "high": 82.5, "percent": 95}})
    assert estimate([measured], "accuracy") == IntervalEstimate(80.0, (78.0, 82.5))


def test_equal_runs_are_no_surer_than_the_images_that_all_of_them_saw(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    images = {"interval": {"low": 70.0, "high": 90.0}}
    same = [measurement(cub, 80.0, seed=seed, details=images) for seed in range(3)]
    assert estimate(same, "accuracy").interval == pytest.approx((70.0, 90.0))
    values = [78.0, 80.0, 82.0]
    runs = [
        measurement(cub, value, seed=seed, details={"interval": {"low": value - 8, "high": value + 8}})
        for seed, value in enumerate(values)
    ]
    low, high = estimate(runs, "accuracy").interval
    half = np.sqrt(np.ptp(stats.t.interval(0.95, 2, scale=stats.sem(values))) ** 2 / 4 + 8**2)
    assert (low, high) == pytest.approx((80 - half, 80 + half))


def test_an_interval_that_one_run_lacks_is_left_out(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    runs = [measurement(cub, 80.0, details={"interval": {"low": 70, "high": 90}}), measurement(cub, 82.0, seed=1)]
    assert estimate(runs, "accuracy").interval == pytest.approx(
        stats.t.interval(0.95, 1, loc=81, scale=stats.sem([80.0, 82.0]))
    )


@pytest.mark.parametrize("higher", [True, False])
def test_places_are_shared_by_equals_and_open_where_intervals_meet(higher: bool) -> None:
    sign = 1 if higher else -1
    values = {"a": (90, 2), "b": (90, 2), "c": (87, 1.5), "d": (50, 1)}
    estimates = {
        name: IntervalEstimate(sign * value, (min(ends), max(ends)))
        for name, (value, half) in values.items()
        for ends in [(sign * (value - half), sign * (value + half))]
    }
    found = ranking(estimates, higher)
    assert [found[name].rank for name in "abcd"] == [1, 1, 3, 4]
    assert [found[name].possible for name in "abcd"] == [(1, 3), (1, 3), (1, 3), (4, 4)]


def test_an_unknown_interval_leaves_all_places_unknown() -> None:
    found = ranking({"a": IntervalEstimate(1.0, (0.9, 1.1)), "b": IntervalEstimate(2.0, None)}, higher_is_better=True)
    assert [found[name].possible for name in "ab"] == [None, None]
    assert mean_rank(list(found.values())) == (1.5, None)


def test_the_mean_place_lies_between_the_means_of_open_places() -> None:
    close = ranking(
        {"a": IntervalEstimate(1.0, (0.0, 2.0)), "b": IntervalEstimate(1.5, (0.5, 2.5))}, higher_is_better=True
    )
    clear = ranking(
        {"a": IntervalEstimate(9.0, (8.0, 9.5)), "b": IntervalEstimate(1.5, (0.5, 2.5))}, higher_is_better=True
    )
    assert mean_rank([close["a"], clear["a"]]) == (1.5, (1.0, 1.5))
