"""Which rows of a long table a figure draws: nobody can read thousands, and matplotlib draws them slowly."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from statistics import fmean

from reports.metrics import Metric
from reports.table import Cell, Column, Row, Table

MOST = 30  # rows of a figure


def measured_rows(table: Table) -> list[Row]:
    """Its rows that are not the paper's."""
    return [row for group in table.groups for row in group.rows if row.source == "measured"]


def leading(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """All rows, or the `MOST` with the best mean place over the columns, in the order that they have."""
    if len(rows) <= MOST:
        return list(rows)
    places = [_places([row.cells[index] for row in rows], column.metric) for index, column in enumerate(columns)]
    means = [fmean(of_row) for of_row in zip(*places, strict=True)]
    best = sorted(range(len(rows)), key=means.__getitem__)[:MOST]
    return [rows[index] for index in sorted(best)]


def left_out(rows: Sequence[Row]) -> str:
    """What a caption says of rows that are not drawn."""
    return f" Of {len(rows)} backbones the {MOST} with the best mean place." if len(rows) > MOST else ""


def _places(cells: Sequence[Cell], metric: Metric) -> list[int]:
    """0 for the best; equal values share a place, and no value is behind all."""
    sign = -1 if metric.higher_is_better else 1
    values = [None if cell.value is None else sign * cell.value for cell in cells]
    known = sorted(value for value in values if value is not None)
    return [len(cells) if value is None else bisect_left(known, value) for value in values]
