"""All tables of a suite, and their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import click

from reports.building.build import build_table
from reports.building.columns import comparable_columns
from reports.building.declaration import AskedColumn, Declaration
from reports.building.table import Table
from reports.building.top_rows import shortened
from reports.figures.curves import training_curves
from reports.figures.figure import Sketch, finished
from reports.figures.speed import speed_scatter
from reports.figures.tasks import task_bars
from reports.results.measurement import Measurement
from reports.results.store import read_store
from reports.results.students import students_of
from reports.tables.extra_tables import COSTS, PROBES, ZEROSHOT
from reports.tables.student_table import build_student_table
from reports.tables.student_tables import STUDENT_TABLES
from reports.tables.table1 import TABLE1
from reports.tables.table6 import cka_table
from reports.writers.csv import csv_table
from reports.writers.html import html_page
from reports.writers.latex import latex_document, latex_table
from reports.writers.markdown import markdown_table
from umt.errors import ResultError, WriteError
from umt.files import atomic_file

PAPER_SUITE = "paper"  # the one whose numbers may stand beside published ones
READ: dict[str, Callable[[Table], str]] = {".tex": latex_table, ".md": markdown_table}  # by people
MOST = 100  # rows of a table that people read
OTHER_DATA = (
    "Measured by the paper's protocols on data that is not the complete official set; "
    "compares backbones with each other, and with nothing that is published."
)

Part = tuple[Declaration, Sequence[AskedColumn]]


class ReportedSuite(Protocol):
    """The parts of a suite that a report needs."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def columns(self) -> Sequence[AskedColumn]: ...
    @property
    def probes(self) -> Sequence[AskedColumn]: ...
    @property
    def zeroshot(self) -> Sequence[AskedColumn]: ...
    @property
    def costs(self) -> Sequence[AskedColumn]: ...


def read_measurements(store: Path) -> list[Measurement]:
    """Read the results of a store; name each unreadable file on stderr. UMTError if no result is left."""
    found, problems = read_store(store)
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    if not found:
        raise ResultError(f"{store}: holds no readable result; run `umt run` again, which repeats what has no result")
    return found


def suite_tables(suite: ReportedSuite, measurements: Sequence[Measurement]) -> list[Table]:
    """Build table 1, frozen features and students; in the paper suite with the paper's rows, and other data apart."""
    parts = [
        (TABLE1, suite.columns),
        (PROBES, suite.probes),
        (ZEROSHOT, suite.zeroshot),
        (COSTS, suite.costs),
    ]
    caption = f"{suite.title}. {suite.about}"
    if suite.name != PAPER_SUITE:
        return _in_order(
            [
                *_built(parts, measurements, caption),
                *_student_tables(suite, measurements, caption),
                cka_table(measurements, caption),
            ]
        )
    official = [one for one in measurements if one.setup.data.official]
    other = [one for one in measurements if not one.setup.data.official]
    apart = [(_on_other_data(declaration), _measured(asked, other)) for declaration, asked in parts]
    with_paper = _built(parts, official, caption, with_paper=True)
    students = _student_tables(suite, official, caption, with_paper=True)
    alike = cka_table(measurements, caption, with_paper=True)  # the paper does not say on which images its own is
    return [*_in_order([*with_paper, *students, alike]), *_built(apart, other, f"{suite.title}. {OTHER_DATA}")]


def suite_figures(tables: Sequence[Table], measurements: Sequence[Measurement]) -> list[Sketch]:
    """Return the figures of the tables and of the measurements behind them."""
    named = {table.name: table for table in tables}
    drawn = [task_bars(named[name]) for name in (TABLE1.name, PROBES.name, ZEROSHOT.name) if name in named]
    if TABLE1.name in named and COSTS.name in named:
        drawn.append(speed_scatter(named[TABLE1.name], named[COSTS.name]))
    drawn.append(training_curves(students_of(measurements)))
    return [figure for figure in drawn if figure]


def write_files(tables: Sequence[Table], sketches: Sequence[Sketch], title: str, out: Path) -> list[Path]:
    """Write `report.html`, `report.tex`, tables as CSV, LaTeX and Markdown, figures as PDF and PNG below `out`.

    A CSV has all rows; if a table is too long to be read, the other formats have the leading ones.
    """
    figures = [finished(sketch, out) for sketch in sketches]
    short = [shortened(table, MOST) for table in tables]
    files = {"report.html": html_page(title, short, figures), "report.tex": latex_document(short)}
    for table, read in zip(tables, short, strict=True):
        files |= {f"{table.name}.csv": csv_table(table)}
        files |= {f"{table.name}{suffix}": write(read) for suffix, write in READ.items()}
    contents = {name: text.encode() for name, text in files.items()}
    for figure in figures:
        contents |= figure.files
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with atomic_file(out / name) as handle:
                handle.write(content)
    except OSError as error:
        raise WriteError(f"{out}: tables cannot be written there ({error.strerror}); choose another --out") from error
    return [out / name for name in contents]


def _built(
    parts: Sequence[Part], measurements: Sequence[Measurement], caption: str, *, with_paper: bool = False
) -> list[Table]:
    tables = [
        build_table(declaration, asked, measurements, caption, with_paper=with_paper) for declaration, asked in parts
    ]
    return [table for table in tables if table]


def _student_tables(
    suite: ReportedSuite, measurements: Sequence[Measurement], caption: str, *, with_paper: bool = False
) -> list[Table]:
    asked = [*suite.columns, *suite.probes]
    tables = [build_student_table(one, asked, measurements, caption, with_paper=with_paper) for one in STUDENT_TABLES]
    return [table for table in tables if table]


def _in_order(tables: Sequence[Table | None]) -> list[Table]:
    """Return the tables that exist, first in the paper's order, then those that the paper does not have."""
    return sorted((table for table in tables if table), key=lambda table: (not table.number, table.number))


def _measured(asked: Sequence[AskedColumn], measurements: Sequence[Measurement]) -> list[AskedColumn]:
    """Return the asked columns that have a result."""
    return list(
        dict.fromkeys(column.asked for column in comparable_columns(asked, measurements) if column.measurements)
    )


def _on_other_data(declaration: Declaration) -> Declaration:
    return replace(declaration, name=f"{declaration.name}-other-data", title=f"{declaration.title}, on other data")
