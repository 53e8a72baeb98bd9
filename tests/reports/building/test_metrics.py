"""Every metric that a shipped suite shows can be shown, in the task's own direction."""

from __future__ import annotations

import pytest

from benchmarks.suite.suite import load_suite, suite_names
from reports.building.metrics import METRICS, ShownMetric, get_metric


@pytest.mark.parametrize("name", suite_names())
def test_suites_show_known_metrics(name):
    assert {column.metric for column in load_suite(name).columns} <= METRICS.keys()


def test_errors_are_better_when_lower():
    assert not get_metric("rmse").higher_is_better
    assert get_metric("miou").higher_is_better


def test_the_task_says_unit_and_direction(result, cub):
    measured = result(cub, 1.0, units={"accuracy": "%", "loss": "nat"}, lower_is_better=["loss"])
    assert get_metric("loss", measured) == ShownMetric("loss", "nat", higher_is_better=False, decimals=3)
    assert get_metric("accuracy", measured) == METRICS["accuracy"]
