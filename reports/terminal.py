"""A table on the console."""

from __future__ import annotations

import textwrap

import rich.table
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from reports.table import Cell, Row, Table

NAME_WIDTH = 24  # a longer name goes on in the next line
WIDE = 120  # columns of a console that has room for more than the name of a row


def print_table(table: Table, console: Console) -> None:
    """Print a table with the best in bold; labels are text, never markup."""
    labels = len(table.label_headings) if console.width >= WIDE else 1
    drawn = rich.table.Table(
        title=Text(table.heading),
        caption=Text(table.caption),
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for index, heading in enumerate(table.label_headings[:labels]):
        drawn.add_column(Text(heading), no_wrap=index == 0, overflow="fold")
    for column in table.columns:
        drawn.add_column(Text(f"{column.heading}\n{column.measure}"), justify="right", overflow="fold")
    for group in table.groups:
        drawn.add_section()
        if group.title:
            drawn.add_row(Text(group.title, style="italic"))
        for row in group.rows:
            drawn.add_row(*_labels(row)[:labels], *map(_shown, row.cells), style="dim" if row.source == "paper" else "")
    console.print(drawn)


def _labels(row: Row) -> list[Text]:
    return [Text("\n".join(textwrap.wrap(row.name, NAME_WIDTH))), *map(Text, row.labels[1:])]


def _shown(cell: Cell) -> Text:
    return Text(cell.text, style="bold" if cell.best else "")
