"""A table in GitHub's Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from reports.building.table import Cell, Row, Table
from umt.text import printable

SPECIAL = re.compile(r"[\\`*_\[\]|~$#@]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def markdown_table(table: Table) -> str:
    """Write heading, caption, table with the best in bold, and footnotes."""
    headings = [*map(escape, table.label_headings), *(escape(f"{c.heading} {c.measure}") for c in table.columns)]
    rules = [":--"] * len(table.label_headings) + ["--:"] * len(table.columns)
    lines = [_line(headings), _line(rules), *_body(table)]
    notes = [f"- {_paragraph(note)}" for note in table.notes]
    return "\n".join([f"## {escape(table.heading)}", "", _paragraph(table.caption), "", *lines, "", *notes]) + "\n"


def _body(table: Table) -> Iterator[str]:
    width = len(table.label_headings) + len(table.columns)
    for group in table.groups:
        if group.title:
            yield _line([f"*{escape(group.title)}*", *[""] * (width - 1)])
        yield from (_row(row) for row in group.rows)


def _row(row: Row) -> str:
    return _line([*map(escape, (row.name, *row.labels[1:])), *map(_cell, row.cells)])


def _cell(cell: Cell) -> str:
    return f"**{escape(cell.text)}**" if cell.best else escape(cell.text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Escape text so that it stays text: no HTML, no emphasis, links, mentions or code, no new cell or line."""
    return SPECIAL.sub(r"\\\g<0>", html.escape(printable(text), quote=False))


def _paragraph(text: str) -> str:
    """Return text that begins no list, heading or rule."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", escape(text.strip()))
