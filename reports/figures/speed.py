"""What accuracy costs: each task against images a second, a point for every leading backbone of the store."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes

from reports.figures.figure import Figure, rendered
from reports.figures.leading import leading, left_out, measured_rows
from reports.figures.style import colours, logarithmic, markers, panels
from reports.table import Column, Row, Table

Point = tuple[str, float, float]  # backbone, images a second, value


def speed_scatter(tasks: Table, costs: Table) -> Figure | None:
    """Points of two finished tables; None where fewer than two backbones have both a speed and a value."""
    measured = _column(costs, "images a second")
    rows = [row for row in measured_rows(tasks) if row.name in measured]
    drawn = leading(rows, tasks.columns)
    names = {row.name for row in drawn}
    speeds = {name: speed for name, speed in measured.items() if name in names}
    found = {
        index: [(name, speed, values[name]) for name, speed in speeds.items() if name in values]
        for index, values in ((index, _values(drawn, index)) for index in range(len(tasks.columns)))
    }
    shown = {index: points for index, points in found.items() if len(points) > 1}
    if not shown:
        return None
    drawing, axes = panels(len(shown), height=3.0)
    for one, (index, points) in zip(axes, shown.items(), strict=True):
        _scatter(one, tasks.columns[index], points, sorted(speeds))
    handles, labels = axes[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return rendered(
        f"{tasks.name}-speed",
        "Accuracy and speed",
        "Images a second of the forward, as the suite measured them; only points of one device compare."
        + left_out(rows),
        drawing,
    )


def _scatter(axes: Axes, column: Column, points: list[Point], names: list[str]) -> None:
    for name, speed, value in points:
        place = names.index(name)
        axes.scatter(
            speed, value, color=colours(len(names))[place], marker=markers(len(names))[place], s=36, label=name
        )
    axes.margins(y=0.1)  # no mark is cut by an axis
    logarithmic(axes, "x")
    axes.set_xlabel("images a second", fontsize=7)
    axes.tick_params(which="both", labelsize=7)
    axes.set_title("\n".join([*textwrap.wrap(column.heading, 36), column.measure]), fontsize=8)
    if not column.metric.higher_is_better:
        axes.invert_yaxis()  # better is up in every panel


def _column(table: Table, label: str) -> dict[str, float]:
    for index, column in enumerate(table.columns):
        if column.metric.label == label:
            return _values(measured_rows(table), index)
    return {}


def _values(rows: Sequence[Row], index: int) -> dict[str, float]:
    """Values of a column by the name of the row."""
    return {row.name: value for row in rows if (value := row.cells[index].value) is not None}
