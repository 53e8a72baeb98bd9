"""Compare our numbers with the paper's: the difference, and if another seed of ours could explain it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import yaml

from benchmarks.suite.suite import Column
from reports.building.columns import MeasuredColumn, comparable_columns
from reports.building.ranking import student_quantile
from reports.building.rows import Model, model_names
from reports.building.spread import mean_and_deviation
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.paper import paper_table
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedRow
from reports.results.students import students_of

CAPTION = (
    "Ours minus the paper's, on the complete official data by the paper's protocol. "
    "Inside: the paper's value lies where one more seed of ours would lie in 95% of cases."
)


def comparison(columns: Sequence[Column], measurements: Sequence[Measurement]) -> Table | None:
    """Build a table with a row for each backbone that the paper has too; None if there is none."""
    published = {column.measurement: name for name, column in paper_table(1).columns.items()}
    official = [measurement for measurement in measurements if measurement.result.data.official]
    models = {measurement.model: measurement for measurement in official}
    compared = [
        (column, published[column.declared.measurement])
        for column in comparable_columns(columns, official)
        if column.declared.measurement in published and column.measurements
    ]
    rows = []
    for model, name in sorted(model_names(models).items()):
        line = _counterpart(models[model])
        if line is not None:
            cells = tuple(_cell(column, field, line, model) for column, field in compared)
            rows.append(Row((name, f"{line.model}, {line.architecture}"), cells))
    if not any(cell.value is not None for row in rows for cell in row.cells):
        return None
    return Table(
        name="compare-paper",
        title="Ours and the paper's",
        caption=CAPTION,
        number="",
        label_headings=("Backbone", "Row of the paper"),
        columns=tuple(TableColumn(column.heading, column.metric) for column, _ in compared),
        groups=(Group("", tuple(rows)),),
        notes=("No spread is given for a single seed.",),
    )


def inside_spread(difference: float, values: Sequence[float]) -> tuple[bool, float] | None:
    """Return True if a difference to the mean is inside the prediction interval of one more run, and its half width.

    None for a single run, which has no spread.
    """
    _, deviation = mean_and_deviation(values)
    if deviation is None:
        return None
    half = student_quantile(len(values) - 1) * deviation * math.sqrt(1 + 1 / len(values))
    return abs(difference) <= half, half


def _cell(column: MeasuredColumn, field: str, line: QuotedRow, model: Model) -> Cell:
    metrics = [measurement.result.metrics for measurement in column.measurements if measurement.model == model]
    values = [values[column.declared.metric] for values in metrics if column.declared.metric in values]
    if not values or field not in line.values:
        return Cell()
    difference, digits = fmean(values) - float(line.values[field]), column.metric.decimals
    verdict = inside_spread(difference, values)
    tolerance = f" ({'inside' if verdict[0] else 'outside'} ±{verdict[1]:.{digits}f})" if verdict else ""
    origin = f"ours {', '.join(f'{value:.6g}' for value in values)}; the paper {line.values[field]}"
    return Cell(f"{difference:+.{digits}f}{tolerance}", difference, runs=len(values), explain=lambda: [origin])


def _counterpart(measurement: Measurement) -> QuotedRow | None:
    """Return the paper's row of a backbone; for a student, its readout alone has a row there."""
    students = students_of([measurement])
    name = students[0].student.recipe if students and students[0].stands_for_student else None
    names = {"recipe": name, "backbone": measurement.result.spec}
    entries = yaml.safe_load((Path(__file__).parents[1] / "paper" / "counterparts.yaml").read_text(encoding="utf-8"))
    for entry in entries:
        if any(names[way] == entry[way] for way in names if way in entry):
            fields = ("model", "architecture", "setting")
            return next(row for row in paper_table(1).rows if all(getattr(row, name) == entry[name] for name in fields))
    return None
