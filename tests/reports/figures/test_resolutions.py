"""Curves over the resolution: one line for each backbone, in the panel of a task and a data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from benchmarks.suite.suite import Column, Suite
from reports.building.columns import comparable_columns
from reports.figures.resolutions import resolution_curves
from reports.report import suite_tables
from reports.results.measurement import Measurement

KNN = Column("CUB", "knn", "cub", "paper", "top1")


def at(pixels: int, column: Column = KNN) -> Column:
    return replace(column, heading=f"{column.heading} {pixels}", protocol=f"paper-{pixels}", resolution=pixels)


def test_points_are_means_of_seeds_in_order_of_the_resolution(measurement: Callable[..., Measurement]) -> None:
    columns = [at(896), at(224), at(448)]
    found = [
        measurement(at(448), 70.0, backbone="ant"),
        measurement(at(224), 60.0, backbone="ant"),
        measurement(at(224), 62.0, backbone="ant", seed=1),
        measurement(at(896), 50.0, backbone="ant"),
        measurement(at(448), 40.0, backbone="bee"),
    ]
    sketch = resolution_curves(columns, found)
    assert sketch is not None
    shows = json.loads(json.dumps(sketch.shows))
    (panel,) = shows["panels"]
    assert panel["heading"] == "CUB-200-2011, k-NN"
    assert panel["measure"] == "top-1 (%) ↑"
    assert panel["lines"] == [["ant", [[224, 61], [448, 70], [896, 50]]], ["bee", [[448, 40]]]]
    axes = sketch.draw(shows).axes[0]
    assert {line.get_label(): list(line.get_xdata()) for line in axes.lines} == {"ant": [224, 448, 896], "bee": [448]}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["224", "448", "896"]


def test_each_metric_and_each_version_of_the_data_has_a_panel(measurement: Callable[..., Measurement]) -> None:
    rank = replace(KNN, task="diagnostics", metric="rankme")
    columns = [at(pixels, column) for column in (KNN, rank) for pixels in (224, 448)]
    found = [measurement(column, 50.0) for column in columns]
    found += [measurement(at(pixels), 20.0, data_fingerprint="e" * 16) for pixels in (224, 448)]
    sketch = resolution_curves(columns, found)
    assert sketch is not None
    assert [panel["measure"] for panel in sketch.shows["panels"]] == ["top-1 (%) ↑", "top-1 (%) ↑", "RankMe ↑"]
    assert all(len(panel["lines"]) == 1 for panel in sketch.shows["panels"])


def test_names_are_those_that_a_shared_report_shows(measurement: Callable[..., Measurement]) -> None:
    found = [measurement(at(pixels), 50.0, backbone="secret") for pixels in (224, 448)]
    sketch = resolution_curves([at(224), at(448)], found, lambda name: "A")
    assert sketch is not None
    assert "secret" not in json.dumps(sketch.shows)


def test_one_resolution_is_no_curve(measurement: Callable[..., Measurement]) -> None:
    assert resolution_curves([at(224), at(448)], [measurement(at(224), 50.0)]) is None
    assert resolution_curves([KNN], [measurement(KNN, 50.0)]) is None


def test_headings_on_other_data_say_the_resolution(measurement: Callable[..., Measurement]) -> None:
    found = [measurement(at(pixels), 50.0, official=False, title="mine") for pixels in (224, 448)]
    columns = comparable_columns([at(224), at(448)], found)
    assert [column.heading for column in columns] == ["mine, 224 px", "mine, 448 px"]


def test_resolutions_are_no_protocols_whose_spread_is_told(
    measurement: Callable[..., Measurement], suite: Callable[..., Suite]
) -> None:
    columns = (at(224), at(448))
    found = [measurement(column, value) for column, value in zip(columns, (50.0, 60.0), strict=True)]
    assert "protocol-spread" not in [table.name for table in suite_tables(suite("mine", table1=columns), found)]
    plain = tuple(replace(column, resolution=None) for column in columns)
    assert "protocol-spread" in [table.name for table in suite_tables(suite("mine", table1=plain), found)]
