"""The one engine that builds a finished table from a declaration, the columns of a suite and results."""

from __future__ import annotations

from collections.abc import Sequence

from reports.building.best import mark_best
from reports.building.columns import comparable_columns
from reports.building.declaration import AskedColumn, Declaration
from reports.building.notes import notes_of
from reports.building.rows import FamilyRow, measured_rows, published_rows
from reports.building.table import Column, Group, Table
from reports.results.measurement import Measurement
from umt.text import printable

OTHER = "Other architectures"


def build_table(
    declaration: Declaration,
    asked: Sequence[AskedColumn],
    measurements: Sequence[Measurement],
    caption: str,
    *,
    with_paper: bool = False,
) -> Table | None:
    """Build a table of all measurements that the asked columns match; None if it would have no row.

    `with_paper` adds the paper's rows, marked as such, above ours.
    """
    columns = comparable_columns(asked, measurements)
    published = declaration.published if with_paper else None
    labels = tuple(published.labels) if published else ("Backbone",)
    rows = published_rows(published, declaration.families, columns) if published else []
    rows += measured_rows(declaration.families, columns, len(labels))
    if not rows:
        return None
    shown = tuple(Column(column.heading, column.metric) for column in columns)
    groups = _grouped(declaration, rows, shown)
    return Table(
        name=declaration.name,
        title=declaration.title,
        caption=printable(caption),
        number=declaration.number,
        label_headings=labels,
        columns=shown,
        groups=groups,
        notes=notes_of(columns, groups),
    )


def _grouped(declaration: Declaration, rows: Sequence[FamilyRow], columns: Sequence[Column]) -> tuple[Group, ...]:
    """Return groups in the declared order, rows of no declared family last; a single group needs no title."""
    titles = [*(family.title for family in declaration.families), OTHER]
    parts = {title: [item.row for item in rows if (item.family or OTHER) == title] for title in titles}
    filled = {title: part for title, part in parts.items() if part}
    return tuple(Group(title if len(filled) > 1 else "", mark_best(part, columns)) for title, part in filled.items())
