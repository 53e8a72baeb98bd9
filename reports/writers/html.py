"""All tables and figures on one page that works offline, in light and dark, on paper and on a phone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import umt
from reports.building.table import Table
from reports.figures.figure import Figure
from umt.text import printable


def html_page(title: str, tables: Sequence[Table], figures: Sequence[Figure] = (), *, evidence: str = "") -> str:
    """Write a self-contained HTML document that sorts and filters; a click on a number shows its origin.

    evidence: the folder of result files, relative to the page, that this leads to.
    """
    environment = Environment(
        loader=PackageLoader("reports", "writers"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_printable,
    )
    environment.filters["lines"] = _lines
    script = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        title=title,
        tables=tables,
        figures=figures,
        evidence=evidence,
        script=Markup(script),
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",  # no other script may run
        version=umt.__version__,
    )


def _printable(value: Any) -> Any:
    """Return text without control characters; it is escaped later, and text that is HTML already stays unchanged."""
    return printable(value) if type(value) is str else value


def _lines(texts: Iterable[str]) -> Markup:
    """Join texts below each other."""
    return Markup("\n").join(map(printable, texts))
