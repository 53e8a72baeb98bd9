"""CSV for programs: full precision, deviation and number of runs in columns of their own."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from io import StringIO

from benchmarks.frame import COLUMNS
from reports.building.table import DASH, Cell, Group, Row, Table
from umt.text import printable

# Texts that a spreadsheet would run, also behind a semicolon, which many read as the end of a cell; an apostrophe makes
# them text. The signs of East Asian keyboards are read as the plain ones.
FORMULA = re.compile(r"(^|;)(?=\s*[-=+@－＝＋＠﹣﹦﹢﹫])")


def csv_table(table: Table) -> str:
    """Write a line for each row: group, source, mark, labels, then value, std and runs of each column or nothing."""
    headings = [f"{column.heading} {column.measure}" for column in table.columns]
    numbers = [name for heading in headings for name in (heading, f"{heading} std", f"{heading} runs")]
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([spreadsheet_text(name) for name in ("Group", "Source", "Mark", *table.label_headings, *numbers)])
    for group in table.groups:
        writer.writerows(_line(group, row) for row in group.rows)
    return buffer.getvalue()


def results_csv(rows: Iterable[Mapping[str, object]]) -> str:
    """Write a tidy table, a line for each metric of each result."""
    buffer = StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(value) for name, value in row.items()})
    return buffer.getvalue()


def _plain(value: object) -> str:
    """Return a value as text; a number that is not known is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return spreadsheet_text(value) if isinstance(value, str) else repr(value)


def _line(group: Group, row: Row) -> list[str]:
    labels = ["" if label == DASH else spreadsheet_text(label) for label in row.labels]
    numbers = (number for cell in row.cells for number in _numbers(cell))
    return [*map(spreadsheet_text, (group.title, row.source, row.mark)), *labels, *numbers]


def _numbers(cell: Cell) -> tuple[str, str, str]:
    if cell.value is None:
        return "", "", ""
    return repr(cell.value), "" if cell.std is None else repr(cell.std), str(cell.runs)


def spreadsheet_text(text: str) -> str:
    return FORMULA.sub(r"\1'", printable(text))
