"""The choice of rows of a long table for people: nobody can read thousands, and pages and figures take long to draw."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from reports.building.metrics import ShownMetric
from reports.building.table import Cell, Row, Table, TableColumn


def top_rows(rows: Sequence[Row], columns: Sequence[TableColumn], limit: int) -> list[Row]:
    """Return all rows, or the `limit` with the best mean rank over the columns, in their present order."""
    if len(rows) <= limit:
        return list(rows)
    ranks = [_ranks([row.cells[index] for row in rows], column.metric) for index, column in enumerate(columns)]
    means = [fmean(of_row) for of_row in zip(*ranks, strict=True)]
    best = sorted(range(len(rows)), key=means.__getitem__)[:limit]
    return [rows[index] for index in sorted(best)]


def limit_note(rows: Sequence[Row], limit: int) -> str:
    """Return the sentence of a caption about rows that are not shown."""
    return f" Of {len(rows)} backbones the {limit} with the best mean place." if len(rows) > limit else ""


def shortened(table: Table, limit: int) -> Table:
    """Return the table with all rows of the paper and the top ones of ours; the caption says where all rows are."""
    rows = table.measured_rows
    if len(rows) <= limit:
        return table
    shown = {id(row) for row in top_rows(rows, table.columns, limit)}
    groups = [
        replace(group, rows=tuple(row for row in group.rows if row.source != "measured" or id(row) in shown))
        for group in table.groups
    ]
    caption = f"{table.caption}{limit_note(rows, limit)} The CSV has all."
    return replace(table, caption=caption, groups=tuple(group for group in groups if group.rows))


def _ranks(cells: Sequence[Cell], metric: ShownMetric) -> list[int]:
    """Return the ranks from 0 for the best; equal values share a rank, and cells without a value are last."""
    sign = -1 if metric.higher_is_better else 1
    values = [None if cell.value is None else sign * cell.value for cell in cells]
    known = sorted(value for value in values if value is not None)
    return [len(cells) if value is None else bisect_left(known, value) for value in values]
