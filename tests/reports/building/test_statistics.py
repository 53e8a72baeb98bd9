"""Mean and deviation against the standard library's exact arithmetic."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.building.statistics import mean_and_deviation


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_they_are_those_of_exact_fractions(values: list[float]) -> None:
    mean, deviation = mean_and_deviation(values)
    assert mean == pytest.approx(statistics.fmean(values), rel=1e-15)
    assert deviation == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9)


def test_one_value_has_no_deviation() -> None:
    assert mean_and_deviation([3.5]) == (3.5, None)
