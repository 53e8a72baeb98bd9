"""The rows shown of a long table: all of the paper, and the best of ours in their own order."""

from __future__ import annotations

from reports.building.metrics import METRICS
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.building.top_rows import shortened, top_rows

COLUMNS = (TableColumn("c", METRICS["top1"]), TableColumn("d", METRICS["rmse"]))
VALUES: dict[str, tuple[float | None, float | None]] = {
    "a": (40.0, 0.9), "b": (80.0, 0.4), "c": (60.0, 0.3), "d": (90.0, None),
}  # fmt: skip


def rows() -> list[Row]:
    return [Row((name,), tuple(Cell("", value) for value in values)) for name, values in VALUES.items()]


def names(found: list[Row]) -> str:
    return "".join(row.name for row in found)


def test_the_top_are_those_with_the_best_mean_place() -> None:
    """Mean places from 0: c 1, b 1, d 2 for want of a second value, a 2.5."""
    assert [names(top_rows(rows(), COLUMNS, limit)) for limit in (1, 2, 3, 4)] == ["b", "bc", "bcd", "abcd"]


def test_a_short_table_stays_and_a_long_one_keeps_the_papers_rows() -> None:
    paper = Row(("p",), (Cell("50", 50.0), Cell()), source="paper")
    groups = (Group("x", (paper, *rows()[:1])), Group("y", tuple(rows()[1:2])), Group("z", tuple(rows()[2:])))
    table = Table("t", "t", "About.", "", ("B",), COLUMNS, groups, ())
    assert shortened(table, 4) is table
    short = shortened(table, 2)
    assert [(group.title, names(list(group.rows))) for group in short.groups] == [
        ("x", "p (paper)"),
        ("y", "b"),
        ("z", "c"),
    ]
    assert short.caption == "About. Of 4 backbones the 2 with the best mean place. The CSV has all."
