"""Rows of a table: one for each backbone of the store, one for each line of the paper's table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.building.cells import measured_cell, published_cell
from reports.building.columns import MeasuredColumn
from reports.building.metrics import ShownMetric
from reports.building.table import DASH, Cell, Row, TableColumn
from reports.paper import FAMILIES, Published, published_table
from reports.results.measurement import Measurement
from umt.text import printable

DAGGER = "†"
Model = tuple[str, str]  # a label, and the hash of the weights


@dataclass(frozen=True)
class FamilyRow:
    """A row and the title of its group; empty if it belongs to none."""

    family: str
    row: Row


def measured_rows(columns: Sequence[MeasuredColumn], width: int) -> list[FamilyRow]:
    """Return a row for each label and weights hash, in order of label; `width` is the number of label columns.

    Different weights under one label are rows apart, with the hash behind the label.
    """
    by_model = [_by_model(column) for column in columns]
    metrics = [(column.declared.metric, column.metric) for column in columns]
    architectures = {model: runs[0].result.architecture for models in by_model for model, runs in models.items()}
    return [
        FamilyRow(
            next((family.title for family in FAMILIES if family.holds(architectures[model])), ""),
            Row(
                (name, printable(architectures[model]), *[DASH] * width)[:width],
                tuple(
                    measured_cell(models.get(model, ()), *metric)
                    for models, metric in zip(by_model, metrics, strict=True)
                ),
            ),
        )
        for model, name in sorted(model_names(architectures).items())
    ]


def model_names(models: Iterable[Model]) -> dict[Model, str]:
    """Name each model for a table: the label, with the hash if weights differ under one label."""
    different = dict.fromkeys(models)
    namesakes = Counter(label for label, _ in different)
    return {
        (label, weights): printable(f"{label} [{weights[:8]}]" if namesakes[label] > 1 else label)
        for label, weights in different
    }


def published_rows(published: Published, columns: Sequence[MeasuredColumn]) -> list[FamilyRow]:
    """Return the paper's rows; each value stands in the first column that measures the same."""
    titles = {name: family.title for family in FAMILIES for name in family.published}
    fields = _published_fields(published, columns)
    return [
        FamilyRow(titles[line[published.family]], _published_row(published, fields, line))
        for line in published_table(published.number)
    ]


def mark_best(rows: Sequence[Row], columns: Sequence[TableColumn]) -> tuple[Row, ...]:
    """Mark the best cells of rows: values that are equal as printed are equal, and a lone value is not marked."""
    targets = [_target([row.cells[index] for row in rows], column.metric) for index, column in enumerate(columns)]
    return tuple(
        replace(
            row,
            cells=tuple(
                replace(cell, best=True) if cell.value is not None and _printed(cell, column.metric) == target else cell
                for cell, column, target in zip(row.cells, columns, targets, strict=True)
            ),
        )
        for row in rows
    )


def _target(cells: Sequence[Cell], metric: ShownMetric) -> float | None:
    """Return the best value, rounded as printed; None if fewer than two compete."""
    values = [value for cell in cells if (value := _printed(cell, metric)) is not None]
    if len(values) < 2:
        return None
    return max(values) if metric.higher_is_better else min(values)


def _printed(cell: Cell, metric: ShownMetric) -> float | None:
    """Return the value of a cell, rounded as printed."""
    return None if cell.value is None else round(cell.value, metric.decimals)


def _by_model(column: MeasuredColumn) -> dict[Model, list[Measurement]]:
    models: dict[Model, list[Measurement]] = defaultdict(list)
    for measurement in column.measurements:
        models[measurement.model].append(measurement)
    return models


def _published_row(published: Published, fields: Sequence[str | None], line: Mapping[str, str]) -> Row:
    return Row(
        labels=tuple(line[field] or DASH for field in published.labels.values()),
        cells=tuple(published_cell(line[field], published.number) if field else Cell() for field in fields),
        source="paper",
        mark=DAGGER if line[published.quoted] else "",
    )


def _published_fields(published: Published, columns: Sequence[MeasuredColumn]) -> list[str | None]:
    """Return the CSV field of each column, None if the paper has nothing that compares with it."""
    fields: list[str | None] = []
    for column in columns:
        field = published.columns.get(column.declared.measurement)
        fields.append(None if field in fields else field)
    return fields
