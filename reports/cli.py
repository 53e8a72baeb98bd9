"""`umt report`: the tables of a result store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.suite.suite import Suite, load_suite, suite_names
from reports.building.table import Table
from reports.report import read_measurements, suite_figures, suite_tables, write_files
from reports.results.measurement import Measurement
from reports.results.store import ANALYSIS, RESULTS_HELP, newest_store
from reports.tables.table1 import TABLE1
from reports.writers.terminal import print_table
from umt.console import Console
from umt.errors import ResultError
from umt.files import writable_folder

EPILOG = """\b
Examples:
  umt report                                              the newest run below runs/
  umt report --results runs/paper/results --compare paper
"""


@click.command(epilog=EPILOG)
@click.option("--results", type=click.Path(path_type=Path), help=RESULTS_HELP)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files. Default: tables, beside the store.")
@click.option("--compare", type=click.Choice(["paper"]), help="Also a table of the differences to the paper's numbers.")
@click.option("--suite", metavar="NAME", help="paper, mini or a YAML file. Default: the suite of the results.")
def report(results: Path | None, out: Path | None, compare: str | None, suite: str | None) -> None:
    """Write the tables and figures of a result store, and print the tables that have results."""
    results = results or newest_store()
    measurements = read_measurements(results)
    chosen = load_suite(suite) if suite else _suite_of(measurements)
    tables = suite_tables(chosen, measurements)
    if not tables:
        raise ResultError(f"{results}: no result belongs to suite '{chosen.name}'; choose another with --suite")
    out = writable_folder(out or results.parent / "tables", "--out")
    if compare:
        tables += _compared(chosen, measurements)
    console = Console()
    for table in tables:
        if any(row.source == "measured" for group in table.groups for row in group.rows):
            print_table(table, console)
    for path in write_files(tables, suite_figures(tables, measurements), chosen.title, out):
        console.print(path, soft_wrap=True, highlight=False, markup=False)


def _compared(suite: Suite, measurements: Sequence[Measurement]) -> list[Table]:
    from reports.tables.compare import comparison  # takes scipy, which takes longer to import than a report to write

    assert TABLE1.published is not None
    table = comparison(TABLE1.published, suite.columns, measurements)
    if table is None:
        raise ResultError(
            "--compare paper: no result is of a backbone, a protocol and the official data that the paper has"
        )
    return [table]


def _suite_of(measurements: Sequence[Measurement]) -> Suite:
    names = sorted({one.setup.suite for one in measurements} - {ANALYSIS})
    if not names:
        raise ResultError("the results are of analyses alone; choose the suite to report on with --suite")
    if len(names) > 1:
        raise ResultError(f"the results are of suites {', '.join(names)}; choose one with --suite")
    if names[0] not in suite_names():
        raise ResultError(
            f"the results are of suite '{names[0]}', which does not come with umt-bench; "
            f"name its file, e.g. --suite {names[0]}.yaml"
        )
    return load_suite(names[0])
