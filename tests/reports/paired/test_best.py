"""Bold and places of tables by paired tests, and where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.suite.suite import Column
from reports.paired.best import BOLD, with_paired_best
from reports.report import suite_tables
from reports.results.store import read_measurements
from reports.tables.leaderboard import leaderboard

HARD = np.random.default_rng(0).permutation(400)
PROBE = Column("Probe", "knn", "cub", "paper", "accuracy")


def bold(table) -> dict[str, list[bool]]:  # type: ignore[no-untyped-def]
    return {row.labels[0]: [cell.best for cell in row.cells] for row in table.measured_rows}


def test_bold_are_the_rows_that_no_paired_test_separates_from_the_best(store, answers, suite) -> None:  # type: ignore[no-untyped-def]
    for name, count in (("a", 300), ("b", 303), ("c", 270)):
        answers(name, count > HARD)
    (table,) = suite_tables(suite("own"), read_measurements(store.folder))
    assert bold(table) == {"a": [True, False], "b": [True, False], "c": [False, False]}
    assert table.notes[-1] == (
        "Bold: not separated from the best measured row of its group by any paired test (docs/compare.md)."
    )


def test_quoted_rows_and_columns_without_items_are_bold_as_printed(store, answers, result, suite) -> None:  # type: ignore[no-untyped-def]
    for name, count in (("a", 300), ("b", 303)):
        answers(name, count > HARD)
        store.write(result(PROBE, float(count), backbone=name, weights_hash=f"{ord(name):064x}"))
    measurements = read_measurements(store.folder)
    table = suite_tables(suite(probes=(suite().columns[0], PROBE)), measurements)
    first, probes = table[0], next(one for one in table if one.name == "probes")
    assert bold(first) == {"a": [True, False], "b": [True, False]}
    assert any(cell.best for group in first.groups for row in group.rows if row.quoted for cell in row.cells)
    assert first.notes[-1].endswith("(docs/compare.md); quoted rows compete apart.")
    assert bold(probes) == {"a": [True, False], "b": [True, True]}
    assert "; in Probe, without test, the best" in probes.notes[-1]
    assert with_paired_best(first, []) is first
    assert sum(line.startswith(BOLD) for line in first.notes) == 1


def test_a_store_without_items_keeps_what_is_best_as_printed(measurement, cub, suite) -> None:  # type: ignore[no-untyped-def]
    found = [measurement(cub, value, backbone=name) for name, value in (("a", 80.0), ("b", 81.0))]
    (table,) = suite_tables(suite("own"), found)
    assert bold(table) == {"a": [False, False], "b": [True, False]}
    assert [line for line in table.notes if line.startswith(BOLD) and "paired test" not in line]


@pytest.mark.parametrize(("count", "places"), [(303, ["1–2", "1–2", "3"]), (340, ["2", "1", "3"])])
def test_places_are_those_that_paired_tests_leave_open(store, answers, count: int, places: list[str]) -> None:  # type: ignore[no-untyped-def]
    """Four hundred items: unpaired intervals of 300 and 270 right ones overlap."""
    for name, right in (("a", 300), ("b", count), ("c", 270)):
        answers(name, right > HARD)
    table = leaderboard(read_measurements(store.folder))
    texts = {row.labels[0]: row.cells[1].text.partition(". ")[0] for row in table.measured_rows}
    assert [texts[name] for name in "abc"] == places
    assert {row.labels[0] for row in table.measured_rows if row.cells[1].best} == (
        {"a", "b"} if count == 303 else {"b"}
    )
