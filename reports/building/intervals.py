"""Tables whose cells show their 95% intervals."""

from __future__ import annotations

from dataclasses import replace

from reports.building.metrics import ShownMetric
from reports.building.table import Cell, Row, Table


def with_intervals(table: Table) -> Table:
    """Return the table with the interval behind each number that has one."""
    metrics = [column.metric for column in table.columns]
    groups = tuple(replace(group, rows=tuple(_row(row, metrics) for row in group.rows)) for group in table.groups)
    return replace(table, groups=groups)


def _row(row: Row, metrics: list[ShownMetric]) -> Row:
    return replace(row, cells=tuple(map(_cell, row.cells, metrics)))


def _cell(cell: Cell, metric: ShownMetric) -> Cell:
    """Return a cell that shows its interval, and has none to show besides."""
    if cell.interval is None:
        return cell
    low, high = (f"{end:.{metric.decimals}f}" for end in cell.interval)
    return replace(cell, text=f"{cell.text} [{low}, {high}]", estimate=lambda: None)
