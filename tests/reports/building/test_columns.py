"""A column holds only numbers that may be compared, and no marked data under an official name."""

from __future__ import annotations

from benchmarks.suite.suite import Column
from reports.building.columns import comparable_columns


def test_official_data_takes_the_suite_heading_and_other_data_its_own_title(measurement, cub):
    measurements = [
        measurement(cub, 80.0),
        measurement(cub, 70.0, title="photo crops (CUB layout)", official=False, data_fingerprint="1"),
    ]
    official, other = comparable_columns([cub], measurements)
    assert (official.heading, other.heading) == ("CUB", "photo crops (CUB layout)")
    assert [one.result.metrics["accuracy"] for one in official.measurements] == [80.0]
    assert [one.result.metrics["accuracy"] for one in other.measurements] == [70.0]


def test_costs_keep_the_suite_heading_which_names_no_data(measurement):
    speed = Column("Speed", "throughput", "imagenet", "mini", "images_per_second")
    (column,) = comparable_columns([speed], [measurement(speed, 80.0, title="digits", official=False)])
    assert column.heading == "Speed"


def test_nothing_measured_keeps_the_asked_column(cub):
    (column,) = comparable_columns([cub], [])
    assert (column.heading, column.measurements) == ("CUB", ())


def test_results_of_other_tasks_and_protocols_stay_out(measurement, cub, nyu):
    other = Column("CUB", "finegrained_linear", "cub", "paper", "accuracy")
    mini = Column("CUB", "finegrained_finetune", "cub", "mini", "accuracy")
    (column,) = comparable_columns([cub], [measurement(other, 1.0), measurement(mini, 2.0), measurement(nyu, 3.0)])
    assert column.measurements == ()


def test_protocols_that_differ_are_columns_apart_with_the_newest_first(measurement, cub):
    old = measurement(cub, 80.0, protocol_hash="old456789abc")
    new = measurement(cub, 70.0, protocol_hash="new456789abc", protocol_version=2)
    columns = comparable_columns([cub], [old, new])
    assert [column.heading for column in columns] == ["CUB, version 2", "CUB, version 1"]


def test_protocols_of_one_version_are_told_apart_by_their_hash(measurement, cub):
    columns = comparable_columns(
        [cub], [measurement(cub, 1.0, protocol_hash=f"{name}456789abc") for name in ("old", "new")]
    )
    assert [column.heading for column in columns] == ["CUB, protocol hash new45678", "CUB, protocol hash old45678"]


def test_data_that_differs_is_a_column_apart(measurement, cub):
    columns = comparable_columns([cub], [measurement(cub, 1.0), measurement(cub, 2.0, data_fingerprint="0" * 16)])
    assert [column.heading for column in columns] == ["CUB, data 00000000", "CUB, data ffffffff"]


def test_two_tasks_on_the_same_other_data_are_told_apart(measurement):
    linear = Column("CUB linear", "finegrained_linear", "cub", "mini", "top1")
    nearest = Column("CUB k-NN", "knn", "cub", "mini", "top1")
    foreign = Column("CUB colours", "colours", "cub", "mini", "top1")
    asked = [linear, nearest, foreign]
    measurements = [measurement(one, 50.0, title="crops", official=False) for one in asked]
    assert [column.heading for column in comparable_columns(asked, measurements)] == [
        "crops, linear",
        "crops, k-NN",
        "crops, colours",
    ]


def test_methods_of_one_task_keep_their_names_over_other_data(measurement):
    asked = [
        Column(f"CUB {method}", "attentive", "cub", protocol, "top1")
        for method, protocol in (("efficient probe", "paper"), ("attention pool", "attention"))
    ]
    measurements = [measurement(one, 50.0, title="crops", official=False) for one in asked]
    headings = [column.heading for column in comparable_columns(asked, measurements)]
    assert headings == ["crops, efficient probe", "crops, attention pool"]
