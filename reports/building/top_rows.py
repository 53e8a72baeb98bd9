"""The choice of rows of a long table for people: nobody can read thousands, and pages and figures take long to draw."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from reports.building.metrics import Metric
from reports.building.table import Cell, Column, Row, Table


def measured_rows(table: Table) -> list[Row]:
    """Return the rows of a table that are not the paper's."""
    return [row for group in table.groups for row in group.rows if row.source == "measured"]


def leading(rows: Sequence[Row], columns: Sequence[Column], most: int) -> list[Row]:
    """Return all rows, or the `most` with the best mean rank over the columns, in their present order."""
    if len(rows) <= most:
        return list(rows)
    places = [_places([row.cells[index] for row in rows], column.metric) for index, column in enumerate(columns)]
    means = [fmean(of_row) for of_row in zip(*places, strict=True)]
    best = sorted(range(len(rows)), key=means.__getitem__)[:most]
    return [rows[index] for index in sorted(best)]


def left_out(rows: Sequence[Row], most: int) -> str:
    """Return the sentence of a caption about rows that are not shown."""
    return f" Of {len(rows)} backbones the {most} with the best mean place." if len(rows) > most else ""


def shortened(table: Table, most: int) -> Table:
    """Return the table with all rows of the paper and the leading ones of ours; the caption says where all rows are."""
    rows = measured_rows(table)
    if len(rows) <= most:
        return table
    kept = {id(row) for row in leading(rows, table.columns, most)}
    groups = [
        replace(group, rows=tuple(row for row in group.rows if row.source != "measured" or id(row) in kept))
        for group in table.groups
    ]
    caption = f"{table.caption}{left_out(rows, most)} The CSV has all."
    return replace(table, caption=caption, groups=tuple(group for group in groups if group.rows))


def _places(cells: Sequence[Cell], metric: Metric) -> list[int]:
    """Return the ranks from 0 for the best; equal values share a rank, and cells without a value are last."""
    sign = -1 if metric.higher_is_better else 1
    values = [None if cell.value is None else sign * cell.value for cell in cells]
    known = sorted(value for value in values if value is not None)
    return [len(cells) if value is None else bisect_left(known, value) for value in values]
