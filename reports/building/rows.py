"""Rows of a table: one for each backbone of the store, one for each line of the paper's table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.building.cells import measured_cell, published_cell
from reports.building.columns import MeasuredColumn
from reports.building.declaration import Family, Published
from reports.building.table import DASH, Cell, Row
from reports.paper import published_table
from reports.results.measurement import Measurement
from umt.text import printable

DAGGER = "†"


@dataclass(frozen=True)
class FamilyRow:
    """A row and the title of its group; empty if it belongs to none."""

    family: str
    row: Row


def measured_rows(families: Sequence[Family], columns: Sequence[MeasuredColumn], width: int) -> list[FamilyRow]:
    """Return a row for each label and weights hash, in order of label; `width` is the number of label columns.

    Different weights under one label are rows apart, with the hash behind the label.
    """
    found = [_by_model(column) for column in columns]
    asked = [(column.asked.metric, column.metric) for column in columns]
    models = {one.model.key: one.model for by_model in found for (one, *_) in by_model.values()}
    rows = []
    for key, name in sorted(model_names(models).items()):
        architecture = models[key].architecture
        texts = (name, printable(architecture), *[DASH] * width)[:width]
        family = next((family.title for family in families if family.holds(architecture)), "")
        rows.append(
            FamilyRow(
                family,
                Row(
                    texts,
                    tuple(
                        measured_cell(by_model.get(key, ()), *metric)
                        for by_model, metric in zip(found, asked, strict=True)
                    ),
                ),
            )
        )
    return rows


def model_names(models: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Name each (label, weights hash) for a table: the label, with the hash if weights differ under one label."""
    different = dict.fromkeys(models)
    namesakes = Counter(label for label, _ in different)
    return {
        (label, weights): printable(f"{label} [{weights[:8]}]" if namesakes[label] > 1 else label)
        for label, weights in different
    }


def published_rows(
    published: Published, families: Sequence[Family], columns: Sequence[MeasuredColumn]
) -> list[FamilyRow]:
    """Return the paper's rows; each value stands in the first column that measures the same."""
    titles = {name: family.title for family in families for name in family.published}
    fields = _published_fields(published, columns)
    return [
        FamilyRow(titles[line[published.family]], _published_row(published, fields, line))
        for line in published_table(published.number)
    ]


def _by_model(column: MeasuredColumn) -> dict[tuple[str, str], list[Measurement]]:
    found: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for one in column.measurements:
        found[one.model.key].append(one)
    return found


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
        asked = column.asked
        field = published.columns.get((asked.task, asked.dataset, asked.protocol_name, asked.metric))
        fields.append(None if field in fields else field)
    return fields
