"""A table on the console; labels are text, never markup, and no word is broken."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rich.table
from rich.box import SIMPLE_HEAD
from rich.text import Text

from reports.building.table import Cell, Row, Table, TableColumn
from reports.building.top_rows import shortened
from umt.console import Console
from umt.text import printable

WIDE_CONSOLE_CHARACTERS = 120  # characters a line, with room for more than the name of a row
MAX_NAME = 26  # characters of a label; a longer one goes on in the next line, at the end of a word
HEADING = 11  # characters of a line of a heading, "top-1 (%) ↑", if its words are no longer
GAP = 2  # blanks between columns
MAX_ROWS = 25  # rows that are printed
MAX_ROWS_ABREAST = 4  # rows that fit beside each other on a narrow console
JOINTS = re.compile(r"(?<=[-_./: ])")  # where a name may go on in the next line


@dataclass(frozen=True)
class DrawnColumn:
    """A column as it is printed: its heading in lines, its cells by row, and the characters that it needs."""

    heading: str
    cells: dict[int, Text]  # by the identity of the row, or by the column if the table is turned
    width: int


def print_table(table: Table, console: Console) -> None:
    """Print the top rows of a table, the best in bold, and a legend; if it is too wide, in blocks of columns.

    On a narrow console few rows are turned on their side.
    """
    table = shortened(table, MAX_ROWS)
    rows = [row for group in table.groups for row in group.rows]
    abreast = len(rows) <= MAX_ROWS_ABREAST < len(table.columns) or len(table.columns) > 2 * len(rows)
    models = [_model_column(row) for row in rows]
    if console.width < WIDE_CONSOLE_CHARACTERS and abreast and _room(models) + MAX_NAME <= console.width:
        grids = [_turned(table, models)]
    else:
        grids = [_upright(table, labels, block) for labels, block in _blocks(table, rows, console.width)]
    grids[0].title = _text(table.heading)
    for block in grids:
        console.print(block)
    for line in (table.caption, *table.legend):
        console.print(_text(line, "dim"))


def _blocks(table: Table, rows: Sequence[Row], width: int) -> Iterator[tuple[list[DrawnColumn], list[DrawnColumn]]]:
    """Yield the labels and as many columns of numbers as fit beside them, until all have been there."""
    labels = [_label_column(table, rows, index) for index in range(len(table.label_headings))]
    numbers = [_number_column(column, rows, index) for index, column in enumerate(table.columns)]
    if width < WIDE_CONSOLE_CHARACTERS or _room(labels) > width // 2:
        labels = labels[:1]
    room = width - _room(labels)
    block: list[DrawnColumn] = []
    for column in numbers:
        if block and _room([*block, column]) > room:
            yield labels, block
            block = []
        block.append(column)
    yield labels, block


def _room(columns: Sequence[DrawnColumn]) -> int:
    return sum(column.width + GAP for column in columns)


def _label_column(table: Table, rows: Sequence[Row], index: int) -> DrawnColumn:
    texts = {id(row): _in_lines(row.name if index == 0 else row.labels[index]) for row in rows}
    heading = printable(table.label_headings[index])
    titles = [word for group in table.groups for word in printable(group.title).split()] if index == 0 else []
    lines = [heading, *titles, *(line for text in texts.values() for line in text.split("\n"))]
    return DrawnColumn(heading, {key: Text(text) for key, text in texts.items()}, max(map(len, lines)))


def _number_column(column: TableColumn, rows: Sequence[Row], index: int) -> DrawnColumn:
    """Return a column that is as wide as its longest cell, or word of its heading, needs."""
    cells = {id(row): _shown(row.cells[index]) for row in rows}
    words = [*printable(column.heading).split(), *printable(column.measure).split()]
    width = max(HEADING, *map(len, words), *(len(cell) for cell in cells.values()))
    lines = [*_wrapped(column.heading, width), *_wrapped(column.measure, width)]
    widths = [*map(len, lines), *(len(cell) for cell in cells.values())]
    return DrawnColumn("\n".join(lines), cells, max(widths, default=1))


def _upright(table: Table, labels: Sequence[DrawnColumn], numbers: Sequence[DrawnColumn]) -> rich.table.Table:
    """Draw a row for each model."""
    grid = _frame()
    for column in labels:
        grid.add_column(_text(column.heading), width=column.width, overflow="fold")
    for column in numbers:
        grid.add_column(Text(column.heading), justify="right", width=column.width, overflow="fold")
    for group in table.groups:
        grid.add_section()
        if group.title:
            grid.add_row(Text("\n".join(_wrapped(group.title, labels[0].width)), style="italic"))
        for row in group.rows:
            cells = [column.cells[id(row)] for column in (*labels, *numbers)]
            grid.add_row(*cells, style="dim" if row.quoted else "")
    return grid


def _model_column(row: Row) -> DrawnColumn:
    cells = dict(enumerate(map(_shown, row.cells)))
    name = _in_lines(row.name)
    return DrawnColumn(name, cells, max(map(len, [*name.split("\n"), *map(str, cells.values())])))


def _turned(table: Table, models: Sequence[DrawnColumn]) -> rich.table.Table:
    """Draw a column for each model."""
    grid = _frame()
    grid.add_column()
    for model in models:
        grid.add_column(Text(model.heading), justify="right", width=model.width, overflow="fold")
    for index, column in enumerate(table.columns):
        grid.add_row(_text(f"{column.heading}: {column.measure}"), *(model.cells[index] for model in models))
    return grid


def _frame() -> rich.table.Table:
    return rich.table.Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False)


def _in_lines(name: str) -> str:
    """Return a name in lines that end where a part of it ends."""
    lines = [""]
    for part in JOINTS.split(printable(name)):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > MAX_NAME:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), width, break_long_words=False, break_on_hyphens=False)


def _shown(cell: Cell) -> Text:
    return _text(cell.text, "bold" if cell.best else "")


def _text(text: str, style: str = "") -> Text:
    """Return text without markup or control characters."""
    return Text(printable(text), style=style)
