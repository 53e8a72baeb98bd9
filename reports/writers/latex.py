"""A table in LaTeX with booktabs: a fragment for \\input, and a document of all tables that compiles by itself."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.building.table import Table
from umt.text import printable

SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "#$%&_{}"},
        "\\": r"\textbackslash{}",
        "~": r"$\sim$",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": "{`}",  # braces keep neighbours from joining into other signs
        "'": "{'}",
        "[": "{[}",  # braces keep it from being an argument of the end of a line before it
        "*": "{*}",
        '"': "{'}{'}",
        "–": r"\textendash{}",
        "†": r"$\dagger$",
        "·": r"$\cdot$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
    }
)
HEADING = 12  # characters of a line of a heading, about as wide as its measure "top-1 (%) ↑"
LATIN = "À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿ"  # letters that every LaTeX engine sets in its default font


def latex_table(table: Table) -> str:
    """Write a `table*`, as wide as both columns of a paper; it needs the packages booktabs and graphicx."""
    return _environment().get_template("table.tex.j2").render(table=table)


def latex_document(tables: Sequence[Table]) -> str:
    """Write a complete document of all tables."""
    return _environment().get_template("document.tex.j2").render(tables=tables)


def escape(text: str) -> str:
    """Escape text for LaTeX; a character without a letter in LaTeX appears as its code point."""
    known = f" -~{LATIN}{re.escape(''.join(map(chr, SPECIAL)))}"
    spelled = re.sub(f"[^{known}]", lambda match: f"U+{ord(match[0]):04X}", printable(text))
    return re.sub("-(?=-)", "{-}", spelled.translate(SPECIAL))


@cache
def _environment() -> Environment:
    """Return the templates, in which every value that is filled in is escaped without request."""
    environment = Environment(
        loader=PackageLoader("reports", "writers"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,
        finalize=lambda value: escape(value) if isinstance(value, str) else value,
    )
    environment.filters["lines"] = lambda text: textwrap.wrap(text, HEADING, break_long_words=False)
    return environment
