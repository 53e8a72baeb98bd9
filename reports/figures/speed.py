"""Accuracy against speed: each task over images a second, a point for each of the top backbones of the store."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.building.table import Row, Table, TableColumn, cell_words
from reports.building.top_rows import limit_note, top_rows
from reports.figures.figure import Sketch, hover
from reports.figures.style import MAX_BACKBONES, MAX_TITLE, colours, logarithmic, markers, panels, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

SPEED = "images a second"  # the metric of the speeds
Point = tuple[str, float, float]  # backbone, images a second, value


def speed_scatter(tasks: Table, costs: Table) -> Sketch | None:
    """Draw the points of two finished tables; None if fewer than two backbones have both a speed and a value."""
    measured = _column(costs, SPEED)
    rows = [row for row in tasks.measured_rows if row.name in measured]
    top = top_rows(rows, tasks.columns, MAX_BACKBONES)
    names = [row.name for row in top]
    every = [_panel(column, top, index, measured) for index, column in enumerate(tasks.columns)]
    shown = [panel for panel in every if len(panel["points"]) > 1]
    if not shown:
        return None
    return Sketch(
        f"{tasks.name}-speed",
        "Accuracy and speed",
        "Images a second of the forward, as the suite measured them; only points of one device compare. "
        "On the dotted line: those that no other one beats in both." + limit_note(rows, MAX_BACKBONES),
        _draw,
        {"names": sorted(names), "panels": shown},
    )


def _panel(column: TableColumn, rows: Sequence[Row], index: int, speeds: dict[str, float]) -> dict[str, Any]:
    points: list[Point] = [(name, speeds[name], value) for name, value in _values(rows, index).items()]
    higher = column.metric.higher_is_better
    words = {row.name: cell_words(row.cells[index], column) for row in rows}
    return {
        "heading": column.heading,
        "measure": column.measure,
        "higher": higher,
        "points": points,
        "hover": [f"{name}: {words[name]} at {speed:.4g} images a second" for name, speed, _ in points],
    }


def pareto_front(points: Sequence[tuple[float, float]], higher: bool) -> list[tuple[float, float]]:
    """Return the points that no other one beats in both speed and value, from the fastest to the slowest."""
    front: list[tuple[float, float]] = []
    for speed, value in sorted(points, key=lambda point: (-point[0], -point[1] if higher else point[1])):
        if not front or (value > front[-1][1] if higher else value < front[-1][1]):
            front.append((speed, value))
    return front


def _draw(shows: Any) -> Drawing:
    drawing, every = panels(len(shows["panels"]), height=2.2)
    for axes, panel in zip(every, shows["panels"], strict=True):
        _scatter(axes, panel, shows["names"])
    handles, labels = every[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return drawing


def _scatter(axes: Axes, panel: Any, names: list[str]) -> None:
    marks = zip(colours(len(names)), markers(len(names)), short_names(names), strict=True)
    looks = dict(zip(names, marks, strict=True))
    for (name, speed, value), words in zip(panel["points"], panel["hover"], strict=True):
        colour, marker, label = looks[name]
        hover(axes.scatter(speed, value, color=colour, marker=marker, s=24, label=label, zorder=2), words)
    front = pareto_front([(speed, value) for _, speed, value in panel["points"]], panel["higher"])
    axes.plot(*zip(*front, strict=True), color="#888888", lw=1, ls=":", zorder=1)
    axes.margins(y=0.1)  # no mark is cut by an axis
    logarithmic(axes, "x")
    axes.set_xlabel("images a second", fontsize=7)
    axes.tick_params(which="both", labelsize=7)
    axes.set_title("\n".join([*textwrap.wrap(panel["heading"], MAX_TITLE), panel["measure"]]), fontsize=8)
    if not panel["higher"]:
        axes.invert_yaxis()  # better is up in every panel


def _column(table: Table, label: str) -> dict[str, float]:
    for index, column in enumerate(table.columns):
        if column.metric.label == label:
            return _values(table.measured_rows, index)
    return {}


def _values(rows: Sequence[Row], index: int) -> dict[str, float]:
    """Return the values of a column by the name of the row."""
    return {row.name: value for row in rows if (value := row.cells[index].value) is not None}
