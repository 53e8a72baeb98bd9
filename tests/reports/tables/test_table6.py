"""Similarities of students and teachers, read from the analyses in a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.suite.suite import Column
from reports.paper import paper_table
from reports.report import suite_tables
from reports.results.measurement import Measurement
from reports.tables.table6 import cka_table

COLUMN = Column("", "cka", "photos", "against x", "global")


@pytest.fixture
def pair(measurement: Callable[..., Measurement]) -> Callable[..., Measurement]:
    def make(teaches: str | None, alike: float, **changes: Any) -> Measurement:
        details = {"against": {"label": "t", "teaches": teaches}, "settings": changes.pop("settings", {})}
        metrics = {"global": alike, "patch": alike - 0.1}
        return measurement(COLUMN, 0, metrics=metrics, details=details, suite="analysis", **changes)

    return make


def test_a_row_a_level_and_a_column_a_teacher(pair: Callable[..., Measurement]) -> None:
    table = cka_table([pair("lite0", 0.8), pair("lite2", 0.7), pair(None, 0.1)], "About.")
    assert table is not None
    assert [column.heading for column in table.columns] == ["lite0", "lite2"]
    assert [(*row.labels, *(cell.text for cell in row.cells)) for row in table.groups[0].rows] == [
        ("mine", "global", "30 of CUB-200-2011", "0.80", "0.70"),
        ("mine", "patch", "30 of CUB-200-2011", "0.70", "0.60"),
    ]


def test_other_images_and_other_settings_are_other_rows(pair: Callable[..., Measurement]) -> None:
    measurements = [
        pair("a", 0.8),
        pair("b", 0.7, data_fingerprint="0" * 16),
        pair("b", 0.6, settings={"resolution": 512}),
    ]
    table = cka_table(measurements, "About.")
    assert table is not None
    assert [[cell.text for cell in row.cells] for row in table.groups[0].rows][::2] == [
        ["0.80", "–"],
        ["–", "0.70"],
        ["–", "0.60"],
    ]


def test_the_papers_values_stand_above_by_the_names_of_their_spaces(pair: Callable[..., Measurement]) -> None:
    table = cka_table([pair("dino", 0.5)], "About.", [paper_table(6)])
    assert table is not None
    published, measured = table.groups
    assert [column.heading for column in table.columns] == ["clip", "mae", "dino"]
    assert [cell.value for cell in published.rows[0].cells] == [0.83, 0.98, 0.76]
    assert [cell.value for cell in measured.rows[0].cells] == [None, None, 0.5]


def test_analyses_are_in_no_other_table(
    pair: Callable[..., Measurement], suite: Any, measurement: Any, cub: Column
) -> None:
    tables = suite_tables(suite("mini"), [measurement(cub, 80.0), pair("dino", 0.5)])
    assert [table.name for table in tables] == ["table1", "table6"]
