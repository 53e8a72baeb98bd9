"""The public page of a hub: a ranking, the tables of its suite, and the evidence of each number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from benchmarks.suite.suite import COST_TASKS, Column, Suite
from reports.building.columns import comparable_columns
from reports.building.table import Table
from reports.exchange.hub import HubContent
from reports.report import suite_tables
from reports.results.measurement import Measurement
from reports.tables.leaderboard import leaderboard
from reports.writers.html import html_page
from umt.errors import ResultError
from umt.files import read_plain


def site_files(content: HubContent) -> dict[str, bytes]:
    """Return the page, and the result files that its numbers are of, by name. Raises UMTError if there is no number."""
    if not content.measurements:
        raise ResultError("no result of this hub is without fault; `umt results check` names the faults")
    tables = [*_rankings(content.suite, content.measurements), *_tables(content)]
    page = html_page(content.hub.title, tables, link=lambda path: quote(_site_path(path))).encode()
    return {"index.html": page, **{_site_path(item.path): read_plain(item.path) for item in content.measurements}}


def _tables(content: HubContent) -> list[Table]:
    tables = suite_tables(content.suite, content.measurements, content.quoted)
    about = " ".join(filter(None, (content.hub.about, "Click a number for its evidence.")))
    return [replace(table, caption=f"{table.caption} {about}") for table in tables if table.measured_rows]


def _rankings(suite: Suite, measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Yield the ranking of each table of the suite; of several protocols or data, by the newest and the official."""
    for name, declared in suite.tables.items():
        measured: dict[tuple[str, str], tuple[Measurement, ...]] = {}
        for column in comparable_columns(_scored(declared.columns), measurements):
            if column.measurements:
                measured.setdefault((column.declared.task, column.declared.dataset), column.measurements)
        if measured:
            table = leaderboard([item for part in measured.values() for item in part])
            yield replace(table, name=f"ranking-{name}", title=f"Ranking: {declared.title}")


def _scored(columns: Sequence[Column]) -> list[Column]:
    """Return the columns without those of costs, which compare on one machine alone."""
    return [column for column in columns if column.task not in COST_TASKS]


def _site_path(path: Path) -> str:
    return f"results/{path.parent.name}/{path.name}"
