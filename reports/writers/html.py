"""All tables on one page that works offline, in light and dark, on paper and on a phone."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

import umt
from reports.table import Table


def html_page(title: str, tables: Sequence[Table]) -> str:
    """One self-contained HTML document; the provenance of a number is the tooltip of its cell."""
    environment = Environment(
        loader=PackageLoader("reports", "writers"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(title=title, tables=tables, version=umt.__version__)
