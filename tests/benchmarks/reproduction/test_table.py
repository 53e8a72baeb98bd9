"""Mean and deviation by hand, missing values, and the place of the table in a document."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reproduction.table import insert, markdown
from benchmarks.suite import load_suite
from umt.errors import UMTError

COLUMNS = [column.heading for column in load_suite("reproduction").all_columns]


def test_cells_are_mean_and_sample_deviation_and_the_last_one_is_over_columns() -> None:
    values = {"UMT": {heading: [10.0, 20.0, 30.0] for heading in COLUMNS}}
    line = markdown(values, ["UMT"], "reproduction").splitlines()[-1]
    assert line == "| UMT | " + " | ".join(["20.0 ± 10.0"] * (len(COLUMNS) + 1)) + " |"


def test_the_deviation_of_the_mean_is_that_of_the_seeds_means() -> None:
    values = {"UMT": {heading: [10.0, 20.0] if index % 2 else [20.0, 10.0] for index, heading in enumerate(COLUMNS)}}
    expected = [sum(values["UMT"][heading][seed] for heading in COLUMNS) / len(COLUMNS) for seed in (0, 1)]
    cell = markdown(values, ["UMT"], "reproduction").splitlines()[-1].split(" | ")[-1]
    mean, deviation = sum(expected) / 2, abs(expected[0] - expected[1]) / 2**0.5
    assert cell == f"{mean:.1f} ± {deviation:.1f} |"


def test_a_missing_value_stays_missing() -> None:
    values = {"UMT": {COLUMNS[0]: [50.0]}}
    cells = markdown(values, ["UMT", "Nobody"], "reproduction").splitlines()
    assert cells[2] == "| UMT | 50.0 |" + " - |" * len(COLUMNS)
    assert cells[3] == "| Nobody |" + " - |" * (len(COLUMNS) + 1)


def test_the_table_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("head\n<!-- table -->\nold\n<!-- end of table -->\ntail\n")
    insert(path, "| new |")
    assert path.read_text() == "head\n<!-- table -->\n| new |\n<!-- end of table -->\ntail\n"
    path.write_text("no marks")
    with pytest.raises(UMTError, match="marks"):
        insert(path, "| new |")
