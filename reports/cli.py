"""`umt report` and `umt leaderboard`: the tables of a result store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.suite.suite import Suite, load_suite, suite_names
from reports.building.intervals import with_intervals
from reports.building.sharing import anonymiser
from reports.building.table import Table
from reports.report import report_files, suite_figures, suite_pictures, suite_tables
from reports.results.measurement import Measurement
from reports.results.quoted import readable_quoted
from reports.results.store import ANALYSIS, newest_store, read_measurements
from reports.writers.files import write_files
from reports.writers.terminal import print_table
from umt import options
from umt.console import Console, warn_old_option
from umt.errors import ResultError
from umt.files import writable_folder

REPORT_EPILOG = """\b
Examples:
  umt report        the newest run below runs/
  umt report --results runs/paper/results --compare paper
"""
LEADERBOARD_EPILOG = """\b
Examples:
  umt leaderboard --results runs/mini/results
  umt leaderboard --results runs/paper/results --tasks knn --out runs/board
"""


ANONYMOUS = click.option(
    "--anonymous",
    is_flag=True,
    help="Leave out commits, commands and files, the names of the user, the machine and owners of folders, and labels "
    "that hold one of these names.",
)


@click.command(epilog=REPORT_EPILOG)
@options.results("the newest below runs/")
@options.out("tables, beside the result store")
@click.option("--compare", type=click.Choice(["paper"]), help="Also write the differences to the paper's numbers.")
@options.suite("the suite of the results")
@click.option("--intervals", is_flag=True, help="Show the 95% interval of each number, in bars too.")
@ANONYMOUS
def report(
    results: Path | None, out: Path | None, compare: str | None, suite: str | None, intervals: bool, anonymous: bool
) -> None:
    """Write the tables and figures of a result store, and print the tables that have results."""
    chosen_suite, store = load_suite(suite) if suite else None, results or newest_store()
    write_report(store, out, chosen_suite, compare=bool(compare), intervals=intervals, anonymous=anonymous)


def write_report(
    results: Path,
    out: Path | None,
    suite: Suite | None,
    *,
    compare: bool = False,
    intervals: bool = False,
    anonymous: bool = False,
) -> None:
    """Write and print the tables of a suite, by default the suite of the results.

    compare: with the paper's numbers. intervals: behind each number. anonymous: without what names people.
    """
    measurements = read_measurements(results)
    suite = suite or _suite_of(measurements)
    tables = suite_tables(suite, measurements, readable_quoted(results))
    if not tables:
        raise ResultError(f"{results}: no result belongs to suite '{suite.name}'; choose another with --suite")
    out = writable_folder(out or results.parent / "tables", "--out")
    if compare:
        tables.append(_compared(suite, measurements))
    tables = list(map(with_intervals, tables)) if intervals else tables
    hidden = anonymiser(tables, measurements) if anonymous else None
    if hidden:
        tables = [hidden.table(table) for table in tables]
    console = Console()
    for table in tables:
        if table.measured_rows:
            print_table(table, console)
    figures = suite_figures(suite, tables, measurements, hidden)
    pictures = suite_pictures(suite, measurements, results.parent, hidden)
    files = report_files(tables, figures, suite.title, out, measurements, hidden, pictures)
    write_files(files, out, console, "report.html")


@click.command(epilog=LEADERBOARD_EPILOG)
@options.results("the newest below runs/")
@options.TASKS
@click.option("--protocol", metavar="NAME|HASH", help="Only results of this protocol.")
@click.option("--fingerprint", metavar="HASH", help="Only results on the data of this fingerprint.")
@click.option("--data", hidden=True)
@options.out()
def leaderboard(
    results: Path | None,
    tasks: tuple[str, ...],
    protocol: str | None,
    fingerprint: str | None,
    data: str | None,
    out: Path | None,
) -> None:
    """Rank all backbones of a result store on each task and over all tasks, with 95% intervals.

    Results of different protocols or data are never ranked together: the command lists them. With --out, the table is
    also written as HTML, CSV, LaTeX and Markdown.
    """
    from reports.tables import leaderboard as ranked  # takes scipy, which takes longer to import than a report to write

    if data:
        warn_old_option("--data", "take --fingerprint")
    results, fingerprint = results or newest_store(), fingerprint or data
    measurements = [item for item in read_measurements(results) if _passes_options(item, tasks, protocol, fingerprint)]
    if not measurements:
        raise ResultError(f"{results}: no result passes --tasks, --protocol and --fingerprint; leave one out")
    table, console = ranked.leaderboard(measurements), Console()
    print_table(table, console)
    if out:
        write_files(report_files([table], [], "Leaderboard", out, measurements), out, console, "report.html")


def _passes_options(
    measurement: Measurement, tasks: Sequence[str], protocol: str | None, fingerprint: str | None
) -> bool:
    """Return True if a measurement passes the options of the leaderboard."""
    key = measurement.key
    return (
        measurement.result.suite != ANALYSIS
        and (not tasks or key.task in tasks)
        and (not protocol or key.protocol == protocol or _begins(key.protocol_hash, protocol))
        and (not fingerprint or _begins(key.data_fingerprint, fingerprint))
    )


def _begins(text: str, start: str) -> bool:
    return len(start) >= 4 and text.startswith(start)


def _compared(suite: Suite, measurements: Sequence[Measurement]) -> Table:
    from reports.tables.compare import comparison  # takes scipy

    table = comparison(suite.columns, measurements)
    if table is None:
        raise ResultError(
            "--compare paper: no result has a backbone, protocol and official data of the paper; "
            "evaluate one with `umt run`"
        )
    return table


def _suite_of(measurements: Sequence[Measurement]) -> Suite:
    names = sorted({measurement.result.suite for measurement in measurements} - {ANALYSIS})
    if not names:
        raise ResultError("the results are of analyses alone; choose the suite to report on with --suite")
    if len(names) > 1:
        raise ResultError(f"the results are of suites {', '.join(names)}; choose one with --suite")
    suite = load_suite(names[0]) if names[0] in suite_names() else _suite_on_data(names[0], measurements)
    if suite is None:
        raise ResultError(
            f"the results are of suite '{names[0]}', which does not come with umt-bench; "
            f"name its file, e.g. --suite {names[0]}.yaml"
        )
    return suite


def _suite_on_data(name: str, measurements: Sequence[Measurement]) -> Suite | None:
    """Return the suite of `umt run --dataset` from its results; its name begins with that of the suite it was made of.

    Raises UMTError if its data are no longer there.
    """
    base = max((known for known in suite_names() if name.startswith(f"{known}-")), key=len, default=None)
    if base is None:
        return None
    from benchmarks.suite.on_data import suite_on  # takes torch

    keys = [measurement.key for measurement in measurements if measurement.result.suite == name]
    datasets = list(dict.fromkeys(key.dataset for key in keys))
    suite = suite_on(load_suite(base), datasets, [key.task for key in keys])
    return replace(suite, name=name) if sorted(suite.name) == sorted(name) else None  # data sets in any order
