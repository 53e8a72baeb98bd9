"""Figure 1b: the leading backbones on every task, each task on its own scale."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes

from reports.figures.figure import Figure, rendered
from reports.figures.leading import leading, left_out, measured_rows
from reports.figures.style import colours, hatches, panels
from reports.table import Cell, Column, Row, Table

ROOM = 1.6  # of the longest bar, for the numbers behind the bars


def task_bars(table: Table) -> Figure | None:
    """Bars of a finished table; None where it has no two measured values to compare."""
    measured = measured_rows(table)
    rows = leading(measured, table.columns)
    shown = [
        index for index in range(len(table.columns)) if sum(row.cells[index].value is not None for row in rows) > 1
    ]
    if not shown:
        return None
    drawing, axes = panels(len(shown), height=1.2 + 0.28 * len(rows))
    for one, index in zip(axes, shown, strict=True):
        _bars(one, table.columns[index], [row.cells[index] for row in rows], rows)
    return rendered(
        f"{table.name}-bars",
        f"{table.heading}, as bars",
        f"Each task on its own scale. Lines: deviation over seeds. A star marks the best.{left_out(measured)}",
        drawing,
    )


def _bars(axes: Axes, column: Column, cells: list[Cell], rows: list[Row]) -> None:
    values = [cell.value or 0.0 for cell in cells]
    bars = axes.barh(
        range(len(rows)),
        values,
        color=colours(len(rows)),
        hatch=hatches(len(rows)),
        edgecolor="white",
        xerr=[cell.std or 0.0 for cell in cells] if any(cell.std for cell in cells) else None,
    )
    texts = [cell.text + (" ★" if cell.best else "") for cell in cells]
    axes.bar_label(bars, texts, padding=3, fontsize=7, fontfamily="DejaVu Sans")
    first = axes.get_subplotspec().is_first_col()  # type: ignore[union-attr]  # every panel has a place in the grid
    names = ["\n".join(textwrap.wrap(row.name, 22)) if first else "" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.invert_yaxis()
    low, high = min(0.0, *values), ROOM * max(*values, 1e-9)
    axes.set_xlim(low, high)
    if column.metric.unit == "%":  # what lies beyond is room for the numbers
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= min(high, 100)])
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_title("\n".join([*textwrap.wrap(column.heading, 36, break_on_hyphens=False), column.measure]), fontsize=8)
