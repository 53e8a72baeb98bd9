"""Figure 1b: the top backbones on every task, each task on its own scale."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from reports.building.table import Row, Table, cell_words
from reports.building.top_rows import limit_note, top_rows
from reports.figures.figure import Sketch, hover
from reports.figures.style import MAX_BACKBONES, MAX_TITLE, colours, hatches, panels, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

AXIS_FACTOR, LETTER = 1.25, 0.055  # length of the axis over that of the longest bar, and more for each letter behind it


def task_bars(table: Table) -> Sketch | None:
    """Draw the bars of a finished table; None if it has no two measured values to compare."""
    measured = table.measured_rows
    rows = top_rows(measured, table.columns, MAX_BACKBONES)
    shown = [
        index for index in range(len(table.columns)) if sum(row.cells[index].value is not None for row in rows) > 1
    ]
    if not shown:
        return None
    return Sketch(
        f"{table.name}-bars",
        f"{table.heading}, as bars",
        "Each task on its own scale. Lines: deviation over seeds. A star is the bold of the table."
        + limit_note(measured, MAX_BACKBONES),
        _draw,
        {"names": [row.name for row in rows], "panels": [_panel(table, rows, index) for index in shown]},
    )


def _panel(table: Table, rows: list[Row], index: int) -> dict[str, Any]:
    column, cells = table.columns[index], [row.cells[index] for row in rows]
    return {
        "heading": column.heading,
        "measure": column.measure,
        "percent": column.metric.unit == "%",
        "values": [cell.value or 0.0 for cell in cells],
        "deviations": [cell.std or 0.0 for cell in cells],
        "texts": [cell.text + (" ★" if cell.best else "") for cell in cells],
        "hover": [f"{row.name}, {column.heading}: {cell_words(row.cells[index], column)}" for row in rows],
    }


def _draw(shows: Any) -> Drawing:
    names = short_names(shows["names"])
    drawing, every = panels(len(shows["panels"]), height=1.2 + 0.28 * len(names))
    for axes, panel in zip(every, shows["panels"], strict=True):
        _bars(axes, panel, names)
    return drawing


def _bars(axes: Axes, panel: Any, names: list[str]) -> None:
    count, values, deviations = len(names), panel["values"], panel["deviations"]
    bars = axes.barh(
        range(count),
        values,
        color=colours(count),
        hatch=hatches(count),
        edgecolor="white",
        xerr=deviations if any(deviations) else None,
    )
    axes.bar_label(bars, panel["texts"], padding=3, fontsize=7, fontfamily="DejaVu Sans")
    for bar, text in zip(bars, panel["hover"], strict=True):
        hover(bar, text)
    axes.set_yticks([])
    if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]  # every panel has a place in the grid
        axes.set_yticks(range(count), ["\n".join(textwrap.wrap(name, 22)) for name in names], fontsize=7)
    axes.invert_yaxis()
    low, high = min(0.0, *values), (AXIS_FACTOR + LETTER * max(map(len, panel["texts"]))) * (max(*values, 0.0) or 1.0)
    axes.set_xlim(low, high)
    if panel["percent"]:  # the part beyond is room for the numbers
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= min(high, 100)])
        axes.spines["bottom"].set_bounds(low, min(high, 100))
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    heading = textwrap.wrap(panel["heading"], MAX_TITLE, break_on_hyphens=False)
    axes.set_title("\n".join([*heading, panel["measure"]]), fontsize=8)
