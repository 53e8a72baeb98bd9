"""Curves over the resolution: a panel for each task and data set of a suite at several resolutions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.suite.suite import Column
from reports.building.columns import MeasuredColumn, comparable_columns, task_words
from reports.building.rows import Model, model_names
from reports.building.table import TableColumn
from reports.figures.figure import Sketch, hover_line
from reports.figures.style import MAX_BACKBONES, Looks, line_panels, logarithmic, markers
from reports.results.measurement import Measurement
from umt.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

CAPTION = (
    "Each task over the side of its images in pixels, the mean of all seeds. A side that a backbone cannot take has "
    "grown to the next one that it can."
)


def resolution_curves(
    columns: Sequence[Column], measurements: Sequence[Measurement], shown_name: Callable[[str], str] = str
) -> Sketch | None:
    """Draw the columns that `--resolutions` made; None if no backbone is measured at two of them.

    Of many backbones the first by name are drawn.
    """
    declared = [column for column in columns if column.resolution]
    groups: dict[tuple[str, ...], list[MeasuredColumn]] = defaultdict(list)
    for column in comparable_columns(declared, measurements):
        if column.measurements:
            groups[_group(column)].append(column)
    models = model_names(run.model for group in groups.values() for column in group for run in column.measurements)
    models = {model: shown_name(name) for model, name in models.items()}
    shown = [_panel(group, models) for group in groups.values()]
    shown = [panel for panel in shown if any(len(points) > 1 for _, points in panel["lines"])]
    if not shown:
        return None
    names = sorted(models.values())[:MAX_BACKBONES]
    return Sketch("resolutions", "Curves over the resolution", CAPTION, _draw, {"names": names, "panels": shown})


def _group(column: MeasuredColumn) -> tuple[str, ...]:
    """Return all that the points of a curve share: the number that is shown but for the resolution, and the data."""
    task, dataset, protocol, metric = column.declared.measurement
    return (
        task,
        dataset,
        protocol.removesuffix(f"-{column.declared.resolution}"),
        metric,
        column.example.key.data_fingerprint,
    )


def _panel(columns: Sequence[MeasuredColumn], models: Mapping[Model, str]) -> dict[str, Any]:
    """Return the heading of a panel, and the points of each backbone in order of the resolution."""
    values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for column in columns:
        for run in column.measurements:
            if column.declared.metric in run.result.metrics and column.declared.resolution:
                value = run.result.metrics[column.declared.metric]
                values[models[run.model]][column.declared.resolution].append(value)
    first = columns[0]
    return {
        "heading": f"{printable(first.example.data.title)}, {task_words(first.declared.task)}",
        "measure": printable(TableColumn("", first.metric).measure),
        "lines": [
            (name, [[pixels, fmean(points[pixels])] for pixels in sorted(points)])
            for name, points in sorted(values.items())
        ],
    }


def _draw(shows: Any) -> Drawing:
    return line_panels(shows, 2.2, markers(len(shows["names"])), _curves)


def _curves(axes: Axes, panel: Any, looks: Looks) -> None:
    for name, points in panel["lines"]:
        if name in looks:
            colour, marker, label = looks[name]
            (line,) = axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=4, lw=1, label=label)
            hover_line(line, name)
    logarithmic(axes, "x")
    sides = sorted({pixels for _, points in panel["lines"] for pixels, _ in points})
    axes.set_xticks(sides, list(map(str, sides)))
    axes.minorticks_off()
    axes.set_xlabel("pixels", fontsize=7)
    axes.tick_params(which="both", labelsize=7)
