"""The best of a group in each column, in the direction of its metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.building.metrics import Metric
from reports.building.table import Cell, Column, Row


def mark_best(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Row, ...]:
    """Mark the best cells of rows: values that are equal as printed are equal, and a lone value is not marked."""
    targets = [_target([row.cells[index] for row in rows], column.metric) for index, column in enumerate(columns)]
    return tuple(replace(row, cells=_marked(row.cells, columns, targets)) for row in rows)


def _target(cells: Sequence[Cell], metric: Metric) -> float | None:
    """Return the best value, rounded as printed; None if fewer than two compete."""
    values = [round(cell.value, metric.decimals) for cell in cells if cell.value is not None]
    if len(values) < 2:
        return None
    return max(values) if metric.higher_is_better else min(values)


def _marked(cells: Sequence[Cell], columns: Sequence[Column], targets: Sequence[float | None]) -> tuple[Cell, ...]:
    return tuple(
        replace(cell, best=True)
        if cell.value is not None and round(cell.value, column.metric.decimals) == target
        else cell
        for cell, column, target in zip(cells, columns, targets, strict=True)
    )
