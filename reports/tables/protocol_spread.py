"""The part of a number that its protocol makes: one backbone on one data set by several protocols."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from benchmarks.suite.suite import Column
from reports.building.cells import provenance
from reports.building.columns import MeasuredColumn, comparable_columns, task_words
from reports.building.metrics import ShownMetric
from reports.building.rows import Model, model_names
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.results.measurement import Measurement
from umt.text import printable

NAME = "protocol-spread"
CAPTION = (
    "The highest less the lowest number of a backbone, and both, on the same images by the protocols of a column: "
    "a difference between two papers that is no larger may come from their protocols alone."
)
Subject = tuple[str, str, str]  # task, data set, metric


@dataclass(frozen=True)
class Protocols:
    """The columns of a suite that differ in nothing but the protocol, on one set of images."""

    heading: str
    columns: Sequence[MeasuredColumn]

    @property
    def models(self) -> dict[Model, dict[str, list[Measurement]]]:
        """The measurements of each model, by the name of the protocol."""
        models: dict[Model, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
        for column in self.columns:
            for measurement in column.measurements:
                if column.declared.metric in measurement.result.metrics:
                    models[measurement.model][column.declared.protocol_name].append(measurement)
        return models


def protocol_spread(columns: Sequence[Column], measurements: Sequence[Measurement]) -> Table | None:
    """Build a table with a row for each backbone; None if no task and data set has numbers by two protocols."""
    subjects = [part for part in _subjects(comparable_columns(columns, measurements)) if len(part.columns) > 1]
    cells = {
        (model, index): _cell(part, by_protocol)
        for index, part in enumerate(subjects)
        for model, by_protocol in part.models.items()
        if len(by_protocol) > 1
    }
    if not cells:
        return None
    models = model_names(model for model, _ in cells)
    return Table(
        name=NAME,
        title="Spread of the protocols alone",
        caption=CAPTION,
        number="",
        label_headings=("Backbone",),
        columns=tuple(TableColumn(part.heading, _spread_metric(part)) for part in subjects),
        groups=(
            Group(
                "",
                tuple(
                    Row((name,), tuple(cells.get((model, index), Cell()) for index in range(len(subjects))))
                    for model, name in sorted(models.items(), key=lambda item: item[1])
                ),
            ),
        ),
        notes=tuple(_note(part) for part in subjects),
    )


def _subjects(columns: Iterable[MeasuredColumn]) -> list[Protocols]:
    """Return the newest version of each protocol, by task, data set, metric and images; of images the first alone."""
    subjects: dict[Subject, dict[str, dict[str, MeasuredColumn]]] = defaultdict(lambda: defaultdict(dict))
    for column in columns:
        if column.measurements:
            declared = column.declared
            images = subjects[declared.task, declared.dataset, declared.metric][column.example.key.data_fingerprint]
            images.setdefault(declared.protocol_name, column)
    return [
        Protocols(_heading(task, next(iter(protocols.values()))), tuple(protocols.values()))
        for (task, *_), fingerprints in subjects.items()
        for protocols in [max(fingerprints.values(), key=len)]
    ]


def _heading(task: str, column: MeasuredColumn) -> str:
    return printable(f"{column.example.data.title}, {task_words(task)}")


def _spread_metric(part: Protocols) -> ShownMetric:
    """Return the metric of the differences; less is better."""
    return replace(part.columns[0].metric, higher_is_better=False)


def _cell(part: Protocols, by_protocol: Mapping[str, Sequence[Measurement]]) -> Cell:
    metric, name = part.columns[0].metric, part.columns[0].declared.metric
    means = {key: fmean(run.result.metrics[name] for run in runs) for key, runs in by_protocol.items()}
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    digits = metric.decimals
    ends = f"{low} {means[low]:.{digits}f}, {high} {means[high]:.{digits}f}"
    spread = means[high] - means[low]
    return Cell(
        printable(f"{spread:.{digits}f} ({ends})"),
        spread,
        runs=min(map(len, by_protocol.values())),
        explain=lambda: [line for runs in by_protocol.values() for line in provenance(runs, name)],
    )


def _note(part: Protocols) -> str:
    names = ", ".join(column.declared.protocol_name for column in part.columns)
    return printable(f"{part.heading}: protocols {names} of task {part.columns[0].declared.task}.")
