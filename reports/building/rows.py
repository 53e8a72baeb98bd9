"""Rows of a table: one for each backbone of the store, one for each line of a published table."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reports.building.cells import measured_cell, quoted_cell
from reports.building.columns import MeasuredColumn
from reports.building.metrics import ShownMetric
from reports.building.table import DASH, Cell, Row, TableColumn
from reports.paper import FAMILIES
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedRow, QuotedTable
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


def quoted_rows(quoted: QuotedTable, columns: Sequence[MeasuredColumn], width: int) -> list[FamilyRow]:
    """Return the rows of a published table, none if no column measures the same; `width` is the number of labels.

    Each value stands in the first column that measures the same.
    """
    titles = {name: family.title for family in FAMILIES for name in family.published}
    names = _quoted_names(quoted, columns)
    return [
        FamilyRow(titles.get(row.architecture, ""), _quoted_row(quoted, row, names, width))
        for row in (quoted.rows if any(names) else ())
    ]


def mark_best(rows: Sequence[Row], columns: Sequence[TableColumn]) -> tuple[Row, ...]:
    """Mark the best cells of rows, and those that are not told from them; none if that is every cell of several.

    Two values are told apart if they differ as printed, and by more than both intervals together allow.
    """
    marked = [_best([row.cells[index] for row in rows], column.metric) for index, column in enumerate(columns)]
    return tuple(
        replace(
            row,
            cells=tuple(replace(cell, best=True) if best else cell for cell, best in zip(row.cells, line, strict=True)),
        )
        for row, line in zip(rows, zip(*marked, strict=True), strict=True)
    )


def _best(cells: Sequence[Cell], metric: ShownMetric) -> list[bool]:
    """Return True for each cell that is marked."""
    sign, digits = (1 if metric.higher_is_better else -1), metric.decimals
    values = [sign * cell.value for cell in cells if cell.value is not None]
    if len(values) < 2:
        return [False] * len(cells)
    best = max(values)
    below = next(_reach(cell, -sign) for cell in cells if cell.value is not None and sign * cell.value == best)
    equal = [cell.value is not None and round(sign * cell.value, digits) == round(best, digits) for cell in cells]
    marked = [
        match or (cell.value is not None and best - sign * cell.value <= math.hypot(below, _reach(cell, sign)))
        for match, cell in zip(equal, cells, strict=True)
    ]
    return equal if sum(equal) == len(values) else [False] * len(cells) if sum(marked) == len(values) else marked


def _reach(cell: Cell, side: int) -> float:
    """Return how far the interval of a cell reaches up (1) or down (-1); 0 if it has none.

    Two intervals are added in squares, as if the numbers did not share their errors.
    """
    interval = cell.interval
    return 0.0 if interval is None or cell.value is None else abs(interval[side > 0] - cell.value)


def _by_model(column: MeasuredColumn) -> dict[Model, list[Measurement]]:
    models: dict[Model, list[Measurement]] = defaultdict(list)
    for measurement in column.measurements:
        models[measurement.model].append(measurement)
    return models


def _quoted_row(quoted: QuotedTable, row: QuotedRow, names: Sequence[str], width: int) -> Row:
    return Row(
        labels=tuple(printable(label) or DASH for label in row.labels[:width]),
        cells=tuple(quoted_cell(quoted, row.values.get(name)) for name in names),
        source=printable(quoted.cite),
        mark=DAGGER if row.repeated else "",
    )


def _quoted_names(quoted: QuotedTable, columns: Sequence[MeasuredColumn]) -> list[str]:
    """Return the published column of each column, empty if there is none that compares: other data never does."""
    published = {column.measurement: name for name, column in quoted.columns.items()}
    names: list[str] = []
    for column in columns:
        comparable = not column.measurements or column.example.data.official
        name = published.get(column.declared.measurement, "") if comparable else ""
        names.append("" if name in names else name)
    return names
