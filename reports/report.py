"""All tables of a suite, and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.suite.suite import COST_TASKS, Column, Suite, SuiteTable
from reports.building.build import build_table
from reports.building.columns import comparable_columns
from reports.building.facts import facts_of
from reports.building.sharing import Anonymiser, shareable, shared_rows
from reports.building.table import Table
from reports.building.top_rows import shortened
from reports.figures.curves import training_curves
from reports.figures.figure import Sketch, finished
from reports.figures.maps import MapSheet, map_sheets
from reports.figures.panels import PanelBlock, panel_blocks
from reports.figures.radar import task_radar
from reports.figures.resolutions import resolution_curves
from reports.figures.speed import SPEED, speed_scatter
from reports.figures.tasks import task_bars
from reports.figures.trainings import learning_curves
from reports.paper import paper_table
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedTable
from reports.results.students import students_of
from reports.tables.protocol_spread import protocol_spread
from reports.tables.student_table import build_student_table
from reports.tables.student_tables import STUDENT_TABLES
from reports.tables.table6 import cka_table
from reports.writers.csv import csv_table, results_csv
from reports.writers.html import address_in_run, html_page
from reports.writers.latex import latex_document, latex_table
from reports.writers.markdown import markdown_table

PAPER_TABLES = range(1, 8)
PAPER_SUITE = "paper"  # the one whose numbers may stand beside published ones
FOR_PEOPLE: dict[str, Callable[[Table], str]] = {".tex": latex_table, ".md": markdown_table}
MAX_ROWS = 100  # rows of a table that people read
OTHER_DATA = (
    "Measured by the paper's protocols on data that is not the complete official set; "
    "compares backbones with each other, and with nothing that is published."
)


def suite_tables(suite: Suite, measurements: Sequence[Measurement], quoted: Sequence[QuotedTable] = ()) -> list[Table]:
    """Build the tables of a suite and of students, with published numbers where they compare.

    The paper suite has the paper's rows in them, and other data apart. Bold follows from paired tests.
    """
    tables = _suite_tables(suite, measurements, quoted)
    if not any(measurement.result.raw for measurement in measurements):
        return tables
    from reports.paired.best import with_paired_best  # takes scipy.stats

    return [with_paired_best(table, measurements) for table in tables]


def _suite_tables(suite: Suite, measurements: Sequence[Measurement], quoted: Sequence[QuotedTable]) -> list[Table]:
    if suite.name != PAPER_SUITE:
        return _in_order(
            [
                *_tables(suite, measurements, quoted),
                *_student_tables(suite, measurements, quoted),
                cka_table(measurements, _caption(suite), quoted),
                protocol_spread([column for column in suite.columns if not column.resolution], measurements),
            ]
        )
    official = [measurement for measurement in measurements if measurement.result.data.official]
    unofficial = [measurement for measurement in measurements if not measurement.result.data.official]
    published = [*map(paper_table, PAPER_TABLES), *quoted]
    tables = [
        *_tables(suite, official, published),
        *_student_tables(suite, official, published),
        # takes all data: the paper does not say on which images its own table 6 is
        cka_table(measurements, _caption(suite), published),
    ]
    return [*_in_order(tables), *_on_other_data(suite, unofficial)]


def suite_figures(
    suite: Suite, tables: Sequence[Table], measurements: Sequence[Measurement], hidden: Anonymiser | None = None
) -> list[Sketch]:
    """Return the figures of the tables and of the measurements behind them."""
    tables_by_name = {table.name: table for table in tables if table.name in suite.tables}
    scores = [table for name, table in tables_by_name.items() if _has_scores(suite.tables[name].columns)]
    speeds = [
        table for table in tables_by_name.values() if any(column.metric.label == SPEED for column in table.columns)
    ]
    sketches: list[Sketch | None] = [draw(table) for table in scores for draw in (task_bars, task_radar)]
    if "table1" in tables_by_name and speeds:
        sketches.append(speed_scatter(tables_by_name["table1"], speeds[0]))
    shown_name = hidden.label if hidden else str
    sketches += [draw(suite.columns, measurements, shown_name) for draw in (resolution_curves, learning_curves)]
    sketches.append(training_curves(students_of(measurements)))
    return [sketch for sketch in sketches if sketch]


def suite_pictures(
    suite: Suite, measurements: Sequence[Measurement], run: Path, hidden: Anonymiser | None = None
) -> list[PanelBlock | MapSheet]:
    """Return the panels of dense tasks, and the maps in folders of the run; these have names in their pixels."""
    blocks = panel_blocks(suite.columns, measurements, hidden.label if hidden else str)
    return [*blocks, *([] if hidden else map_sheets(run))]


def report_files(
    tables: Sequence[Table],
    sketches: Sequence[Sketch],
    title: str,
    out: Path,
    measurements: Sequence[Measurement] = (),
    hidden: Anonymiser | None = None,
    pictures: Sequence[PanelBlock | MapSheet] = (),
) -> dict[str, bytes]:
    """Return by name `report.html`, `report.tex`, tables as CSV, LaTeX and Markdown, and figures as PDF and PNG.

    A CSV has all rows; if a table is too long to be read, the other formats have the top ones. Figures in `out` that
    show the same are not drawn again. `results.csv` has all measurements.
    """
    figures = [finished(sketch, out) for sketch in sketches]
    tables = [shareable(table) for table in tables]
    short = [shortened(table, MAX_ROWS) for table in tables]
    downloads = {f"{table.name}.csv": csv_table(table) for table in tables}
    if measurements:
        rows = (row for measurement in measurements for row in shared_rows(measurement, out.parent, hidden))
        downloads["results.csv"] = results_csv(rows)
    facts = facts_of(measurements, tables)
    link = (lambda path: None) if hidden else partial(address_in_run, out)
    page = html_page(title, short, figures, pictures, facts=facts, downloads=downloads, link=link)
    texts = {"report.html": page, "report.tex": latex_document(short), **downloads}
    for table, readable in zip(tables, short, strict=True):
        texts |= {f"{table.name}{suffix}": write(readable) for suffix, write in FOR_PEOPLE.items()}
    contents = {name: text.encode() for name, text in texts.items()}
    for figure in figures:
        contents |= figure.files
    return contents


def _caption(suite: Suite, about: str = "") -> str:
    return f"{suite.title}. {about or suite.about}"


def _tables(suite: Suite, measurements: Sequence[Measurement], quoted: Sequence[QuotedTable]) -> Iterator[Table | None]:
    for name, declared in suite.tables.items():
        if suite.embedded_data:
            declared = _measured_part(declared, measurements)
        anywhere = [table for table in quoted if not table.stands_in]
        yield build_table(name, declared, measurements, _caption(suite, declared.about), anywhere)


def _student_tables(
    suite: Suite, measurements: Sequence[Measurement], quoted: Sequence[QuotedTable]
) -> Iterator[Table | None]:
    students, caption = students_of(measurements), _caption(suite)
    for declaration in STUDENT_TABLES:
        yield build_student_table(declaration, suite.columns, students, caption, quoted)


def _on_other_data(suite: Suite, measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Build the tables of the columns that have a result on other data than the official one."""
    for name, declared in suite.tables.items():
        part = _measured_part(declared, measurements)
        table = build_table(name, part, measurements, _caption(suite, OTHER_DATA))
        if table:
            yield replace(table, name=f"{name}-other-data", title=f"{table.title}, on other data")


def _measured_part(declared: SuiteTable, measurements: Sequence[Measurement]) -> SuiteTable:
    """Return the table with its measured columns: over others an official name would stand that no number is of."""
    columns = comparable_columns(declared.columns, measurements)
    return replace(declared, columns=tuple(dict.fromkeys(column.declared for column in columns if column.measurements)))


def _in_order(tables: Sequence[Table | None]) -> list[Table]:
    """Return the tables that exist, first in the paper's order, then those that the paper does not have."""
    return sorted((table for table in tables if table), key=lambda table: (not table.number, table.number))


def _has_scores(columns: Sequence[Column]) -> bool:
    return any(column.task not in COST_TASKS for column in columns)
