"""Build a finished table from a table of a suite and results."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.suite.suite import SuiteTable
from reports.building.columns import comparable_columns
from reports.building.notes import legend_of, notes_of
from reports.building.rows import FamilyRow, mark_best, measured_rows, quoted_rows
from reports.building.table import Group, Table, TableColumn
from reports.paper import FAMILIES
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedTable
from umt.text import printable

OTHER_ARCHITECTURES = "Other architectures"
QUOTED_LABELS = ("Method", "Architecture", "Setting", "Images")  # of QuotedRow.labels


def build_table(
    name: str,
    declared: SuiteTable,
    measurements: Sequence[Measurement],
    caption: str,
    quoted: Sequence[QuotedTable] = (),
) -> Table | None:
    """Build a table of all measurements that match the declared columns; None if it would have no row.

    Rows of published tables, marked by their source, stand above ours.
    """
    columns = comparable_columns(declared.columns, measurements)
    labels = QUOTED_LABELS if any(quoted_rows(table, columns, 1) for table in quoted) else ("Backbone",)
    rows = [row for table in quoted for row in quoted_rows(table, columns, len(labels))]
    rows += measured_rows(columns, len(labels))
    if not rows:
        return None
    shown = tuple(TableColumn(column.heading, column.metric) for column in columns)
    groups = _grouped(rows, shown)
    return Table(
        name=name,
        title=printable(declared.title),
        caption=printable(caption),
        number="Table 1" if name == "table1" else "",
        label_headings=labels,
        columns=shown,
        groups=groups,
        notes=notes_of(columns, groups),
        legend=legend_of(columns),
    )


def _grouped(rows: Sequence[FamilyRow], columns: Sequence[TableColumn]) -> tuple[Group, ...]:
    """Return groups in the order of families, rows of no family last; a single group needs no title."""
    titles = [*(family.title for family in FAMILIES), OTHER_ARCHITECTURES]
    parts = {title: [item.row for item in rows if (item.family or OTHER_ARCHITECTURES) == title] for title in titles}
    filled = {title: part for title, part in parts.items() if part}
    return tuple(Group(title if len(filled) > 1 else "", mark_best(part, columns)) for title, part in filled.items())
