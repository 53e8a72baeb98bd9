"""Table 6 of the paper: the similarity of a student and each of its teachers, by CKA."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reports.building.cells import measured_cell, quoted_cell
from reports.building.metrics import ShownMetric
from reports.building.rows import model_names
from reports.building.table import DASH, Cell, Group, Row, Table, TableColumn
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedTable
from umt.text import printable

TASK = "cka"
CKA = ShownMetric("CKA", "", decimals=2)
LEVELS = ("global", "patch")
NAME = "table6"
NOTE = "Linear CKA, unbiased; patches on the coarser of two grids. The paper does not say on which images it measured."


def cka_table(measurements: Sequence[Measurement], caption: str, quoted: Sequence[QuotedTable] = ()) -> Table | None:
    """Build a row for each student, level and set of images, a column for each teacher's space; None without rows.

    A quoted column stands in the space that its metric names.
    """
    quoted = [table for table in quoted if table.stands_in == NAME]
    pairs = [pair for pair in measurements if pair.key.task == TASK and _space(pair)]
    published_spaces = (column.metric for table in quoted for column in table.columns.values())
    spaces = list(dict.fromkeys([*published_spaces, *map(_space, pairs)]))
    published = Group("Published", tuple(_published_rows(quoted, spaces))) if quoted else None
    measured = Group("Measured" if published else "", tuple(_measured_rows(pairs, spaces)))
    groups = tuple(group for group in (published, measured) if group and group.rows)
    if not groups:
        return None
    return Table(
        name=NAME,
        title="Similarity of students and teachers",
        caption=printable(caption),
        number="Table 6",
        label_headings=("Student", "Level", "Images"),
        columns=tuple(TableColumn(space, CKA) for space in spaces),
        groups=groups,
        notes=(NOTE, f"{DASH}: no value."),
    )


def _measured_rows(pairs: Sequence[Measurement], spaces: Sequence[str]) -> list[Row]:
    """Return the measured rows; pairs on equal images and by equal settings share a row."""
    names = model_names(pair.model for pair in pairs)
    rows: dict[tuple[str, str, str, str], dict[str, list[Measurement]]] = {}
    for pair in pairs:
        settings = json.dumps(pair.result.details.get("settings"), sort_keys=True)
        key = (names[pair.model], _images(pair), pair.key.data_fingerprint, settings)
        rows.setdefault(key, {}).setdefault(_space(pair), []).append(pair)
    return [
        Row(
            (name, level, images),
            tuple(_cell(teachers.get(space, []), level) for space in spaces),
        )
        for (name, images, *_), teachers in rows.items()
        for level in LEVELS
    ]


def _published_rows(quoted: Sequence[QuotedTable], spaces: Sequence[str]) -> Iterator[Row]:
    for table in quoted:
        names = {column.metric: name for name, column in table.columns.items()}
        for row in table.rows:
            cells = tuple(quoted_cell(table, row.values.get(names.get(space, ""))) for space in spaces)
            labels = (row.architecture or row.model, row.setting or DASH, DASH)
            yield Row(tuple(map(printable, labels)), cells, source=printable(table.cite))


def _cell(pairs: Sequence[Measurement], level: str) -> Cell:
    cell = measured_cell(pairs, level, CKA)
    return replace(cell, explain=lambda: (line for line in cell.provenance if not line.startswith("again: ")))


def _space(pair: Measurement) -> str:
    """Return the space of the student that the other backbone taught; empty if it taught none."""
    against = pair.result.details.get("against", {})
    return str(against.get("teaches") or "") if isinstance(against, dict) else ""


def _images(pair: Measurement) -> str:
    data = pair.result.data
    return printable(f"{sum(data.sizes.values()):,} of {data.title}")
