"""A table on the console; labels are text, never markup."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import rich.table
from rich.box import SIMPLE_HEAD
from rich.text import Text

from reports.building.table import Cell, Row, Table
from reports.building.top_rows import shortened
from umt.console import Console
from umt.text import printable

NAME_WIDTH = 24  # a longer name goes on in the next line
WIDE_CONSOLE = 120  # characters a line, with room for more than the name of a row
MAX_ROWS = 25  # rows that are printed
MAX_ROWS_ABREAST = 4  # rows that fit beside each other on a narrow console
MIN_COLUMN, MIN_COLUMN_OF_PIECE = 9, 12  # characters a column, and if a table goes on in another one below


def print_table(table: Table, console: Console) -> None:
    """Print the top rows of a table, the best in bold; on a narrow console few rows are turned on their side."""
    table = shortened(table, MAX_ROWS)
    rows = [row for group in table.groups for row in group.rows]
    abreast = len(rows) <= MAX_ROWS_ABREAST < len(table.columns) or len(table.columns) > 2 * len(rows)
    if console.width < WIDE_CONSOLE and abreast:
        console.print(_turned(table, rows))
        return
    for piece in _pieces(table, console.width - NAME_WIDTH):
        console.print(_upright(piece, console.width))


def _pieces(table: Table, room: int) -> list[Table]:
    """Return the table, or if it is too wide, tables of some columns each, to be printed below each other."""
    count = len(table.columns)
    number = math.ceil(count / max(1, room // MIN_COLUMN_OF_PIECE))
    if count * MIN_COLUMN <= room or number < 2:
        return [table]
    cuts = [count * index // number for index in range(number + 1)]
    pieces = [_columns(table, slice(*ends)) for ends in pairwise(cuts)]
    first, *others = (replace(piece, caption="") for piece in pieces[:-1])
    last = pieces[-1]
    return [first, *(replace(piece, number="", title="") for piece in (*others, last))]


def _columns(table: Table, some: slice) -> Table:
    groups = [
        replace(group, rows=tuple(replace(row, cells=row.cells[some]) for row in group.rows)) for group in table.groups
    ]
    return replace(table, columns=table.columns[some], groups=tuple(groups))


def _upright(table: Table, width: int) -> rich.table.Table:
    """Draw a row for each model."""
    labels = len(table.label_headings) if width >= WIDE_CONSOLE else 1
    drawn = _frame(table)
    for index, heading in enumerate(table.label_headings[:labels]):
        drawn.add_column(_text(heading), no_wrap=index == 0, overflow="fold")
    for column in table.columns:
        drawn.add_column(
            Text(f"{printable(column.heading)}\n{printable(column.measure)}"), justify="right", overflow="fold"
        )
    for group in table.groups:
        drawn.add_section()
        if group.title:
            drawn.add_row(_text(group.title, "italic"))
        for row in group.rows:
            drawn.add_row(*_labels(row)[:labels], *map(_shown, row.cells), style="dim" if row.quoted else "")
    return drawn


def _turned(table: Table, rows: Sequence[Row]) -> rich.table.Table:
    """Draw a column for each model."""
    drawn = _frame(table)
    drawn.add_column()
    for row in rows:
        drawn.add_column(_labels(row)[0], justify="right", overflow="fold")
    for index, column in enumerate(table.columns):
        drawn.add_row(_text(f"{column.heading}: {column.measure}"), *(_shown(row.cells[index]) for row in rows))
    return drawn


def _frame(table: Table) -> rich.table.Table:
    return rich.table.Table(
        title=_text(table.heading),
        caption=_text(table.caption),
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def _labels(row: Row) -> list[Text]:
    return [Text("\n".join(textwrap.wrap(printable(row.name), NAME_WIDTH))), *map(_text, row.labels[1:])]


def _shown(cell: Cell) -> Text:
    return _text(cell.text, "bold" if cell.best else "")


def _text(text: str, style: str = "") -> Text:
    """Return text without markup or control characters."""
    return Text(printable(text), style=style)
