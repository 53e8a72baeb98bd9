"""All tables and figures on one page that works offline, in light and dark, on paper and on a phone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import umt
from reports.building.facts import Fact
from reports.building.table import Table
from reports.figures.figure import Figure
from reports.figures.maps import MapSheet
from reports.figures.panels import PanelBlock, PanelRow
from reports.writers.svg import inline_svg
from umt.text import printable

MAX_PICTURES = 4 << 20  # bytes of panels and maps inside the page, which base64 makes a third more
MAX_INSIDE = 1 << 20  # bytes of a download inside the page; a browser takes no longer address


def html_page(
    title: str,
    tables: Sequence[Table],
    figures: Sequence[Figure] = (),
    pictures: Sequence[PanelBlock | MapSheet] = (),
    *,
    facts: Sequence[Fact] = (),
    downloads: Mapping[str, str] | None = None,
    link: Callable[[Path], str | None] = lambda path: None,
) -> str:
    """Write a self-contained HTML document that sorts and filters; a click on a number shows its origin.

    downloads: CSV texts by the name of their file, `NAME.csv` of each table. link: the address of a file of the run,
    from the page, if it can be reached from there. Pictures beyond `MAX_PICTURES` bytes are links alone.
    """
    environment = Environment(
        loader=PackageLoader("reports", "writers"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_printable,
    )
    environment.filters["id"] = id
    environment.filters["address"] = lambda picture: link(picture.file)
    environment.filters["lines"] = _lines
    environment.filters["links"] = lambda cell: "\n".join(filter(None, map(link, cell.files)))
    environment.filters["between"] = _between
    environment.filters["drawn"] = lambda figure: inline_svg(figure.svg, figure.name, figure.title)
    script = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        title=title,
        tables=tables,
        figures=figures,
        facts=facts,
        panels=[block for block in pictures if isinstance(block, PanelBlock)],
        maps=[sheet for sheet in pictures if isinstance(sheet, MapSheet)],
        inside=_inside(pictures),
        downloads={name: _address(name, text) for name, text in (downloads or {}).items()},
        with_intervals=any(map(_has_interval, tables)),
        script=Markup(script),
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",  # no other script may run
        version=umt.__version__,
    )


def _inside(pictures: Iterable[PanelBlock | MapSheet]) -> dict[int, str]:
    """Return the pictures as addresses inside the page, by identity; rows and sheets beyond the limit are left out."""
    units = [part for block in pictures for part in (block.rows if isinstance(block, PanelBlock) else [block])]
    addresses: dict[int, str] = {}
    free = MAX_PICTURES
    for unit in units:
        parts = unit.tiles if isinstance(unit, PanelRow) else (unit,)
        free -= sum(len(part.webp) for part in parts)
        if free >= 0:
            addresses |= {id(part): f"data:image/webp;base64,{b64encode(part.webp).decode()}" for part in parts}
    return addresses


def _address(name: str, text: str) -> str:
    """Return the text as an address inside the page, or if it is long the file of that name beside the page."""
    content = text.encode()
    if len(content) > MAX_INSIDE:
        return quote(name)
    return f"data:text/csv;charset=utf-8;base64,{b64encode(content).decode()}"


def address_in_run(folder: Path, path: Path) -> str | None:
    """Return the address of a file from a page in `folder`; None if it does not lie in the same run."""
    run, file = folder.absolute().parent, path.absolute()
    return f"../{quote(file.relative_to(run).as_posix())}" if run in file.parents else None


def _has_interval(table: Table) -> bool:
    return any(cell.interval for group in table.groups for row in group.rows for cell in row.cells)


def _between(interval: tuple[float, float], decimals: int) -> str:
    low, high = interval
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def _printable(value: Any) -> Any:
    """Return text without control characters; it is escaped later, and text that is HTML already stays unchanged."""
    return printable(value) if type(value) is str else value


def _lines(texts: Iterable[str]) -> Markup:
    """Join texts below each other."""
    return Markup("\n").join(map(printable, texts))
