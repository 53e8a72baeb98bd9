"""Learning curves: a panel for each task and data set that something was trained on, all backbones in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from benchmarks.suite.suite import Column
from reports.building.columns import comparable_columns
from reports.building.metrics import get_metric
from reports.building.rows import Model, model_names
from reports.building.table import TableColumn
from reports.figures.figure import Sketch, hover_line
from reports.figures.style import COLOURS, MAX_BACKBONES, Looks, line_panels
from reports.results.measurement import Measurement
from reports.results.trainings import Training, trainings_of
from umt.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

CAPTION = (
    "Training loss over optimiser steps, each point the mean since the one before it, and the metric of protocols that "
    "test between the steps. A line for each seed. A lower loss is no better backbone: the tables have what counts."
)
STYLES = ("-", "--", ":")  # colours repeat after seven backbones, and then lines differ
DIGITS = 6  # of a value: no reader sees more, and a drawing is the same on each machine


def learning_curves(
    columns: Sequence[Column], measurements: Sequence[Measurement], shown_name: Callable[[str], str] = str
) -> Sketch | None:
    """Draw the trainings whose job's folder lies beside the store; None if none does.

    Of many backbones the first by name are drawn.
    """
    every = _trainings(columns, measurements)
    if not every:
        return None
    models = model_names(training.measurement.model for training in chain.from_iterable(every.values()))
    models = {model: shown_name(name) for model, name in models.items()}
    names = sorted(models.values())[:MAX_BACKBONES]
    shown = [panel for heading, trainings in every.items() for panel in _panels(heading, trainings, models)]
    return Sketch("learning-curves", "Learning curves", CAPTION, _draw, {"names": names, "panels": shown})


def _trainings(columns: Sequence[Column], measurements: Sequence[Measurement]) -> dict[str, list[Training]]:
    """Return the trainings of each job that a column is of, by the heading of its first column."""
    jobs: dict[tuple[str, ...], str] = {}
    trainings: dict[str, list[Training]] = {}
    for column in comparable_columns(columns, measurements):
        keys = [measurement.key for measurement in column.measurements[:1]]
        job = tuple(part for key in keys for part in (key.task, key.dataset, key.protocol_hash, key.data_fingerprint))
        if job and jobs.setdefault(job, column.heading) == column.heading:
            trainings[column.heading] = trainings_of(column.measurements)
    return {heading: runs for heading, runs in trainings.items() if runs}


def _panels(heading: str, trainings: Sequence[Training], models: Mapping[Model, str]) -> Iterator[dict[str, Any]]:
    """Yield a panel of the losses, then one of each metric between the steps."""
    result = trainings[0].measurement.result
    yield {"heading": heading, "measure": "training loss ↓", "lines": _lines(trainings, models, "")}
    for name in dict.fromkeys(name for training in trainings for name in training.tests):
        measure = TableColumn("", get_metric(name, result)).measure
        yield {"heading": heading, "measure": printable(measure), "lines": _lines(trainings, models, name)}


def _lines(trainings: Sequence[Training], models: Mapping[Model, str], metric: str) -> list[tuple[str, Any]]:
    """Return the backbone and the points of each training's loss, or of a metric between its steps."""
    curves = [
        (models[training.measurement.model], training.tests.get(metric, []) if metric else training.loss)
        for training in trainings
    ]
    return [(name, [[step, float(f"{value:.{DIGITS}g}")] for step, value in curve]) for name, curve in curves if curve]


def _draw(shows: Any) -> Drawing:
    return line_panels(shows, 2.0, _styles(len(shows["names"])), _curves)


def _curves(axes: Axes, panel: Any, looks: Looks) -> None:
    for name, points in panel["lines"]:
        if name in looks:
            colour, style, label = looks[name]
            (line,) = axes.plot(*zip(*points, strict=True), color=colour, ls=style, lw=1, label=label)
            line.set_marker("." if len(points) == 1 else "")
            hover_line(line, name)
    axes.set_xlabel("step", fontsize=7)
    axes.tick_params(labelsize=7)


def _styles(count: int) -> list[str]:
    return [STYLES[index // len(COLOURS) % len(STYLES)] for index in range(count)]
