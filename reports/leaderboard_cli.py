"""`umt leaderboard`: the best backbones of each task, and the uncertainty of their ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reports.report import read_measurements, write_files
from reports.results.measurement import Setup
from reports.results.store import ANALYSIS, RESULTS_HELP, newest_store
from reports.tables.leaderboard import leaderboard
from reports.writers.terminal import print_table
from umt.console import Console
from umt.errors import ResultError

EPILOG = """\b
Examples:
  umt leaderboard --results runs/mini/results
  umt leaderboard --results runs/paper/results --tasks finegrained_linear,knn --out runs/paper/board
"""


@click.command(epilog=EPILOG)
@click.option("--results", type=click.Path(path_type=Path), help=RESULTS_HELP)
@click.option("--tasks", metavar="TASK[,TASK]", help="Only these tasks.")
@click.option("--protocol", metavar="NAME|HASH", help="Only results of this protocol.")
@click.option("--data", metavar="FINGERPRINT", help="Only results on this data.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write it to, as HTML, CSV, LaTeX and Markdown.")
def leaderboard_command(
    results: Path | None, tasks: str | None, protocol: str | None, data: str | None, out: Path | None
) -> None:
    """Rank all backbones of a result store on each task and over all tasks, with 95% intervals.

    Results of different protocols or data are never ranked together: the command lists them.
    """
    results = results or newest_store()
    wanted = tasks.split(",") if tasks else []
    chosen = [one for one in read_measurements(results) if _chosen(one.setup, wanted, protocol, data)]
    if not chosen:
        raise ResultError(f"{results}: no result is left by --tasks {tasks}, --protocol {protocol}, --data {data}")
    table = leaderboard(chosen)
    console = Console()
    print_table(table, console)
    for path in write_files([table], [], "Leaderboard", out) if out else ():
        console.print(path, soft_wrap=True, highlight=False, markup=False)


def _chosen(setup: Setup, tasks: Sequence[str], protocol: str | None, data: str | None) -> bool:
    """Return True if a setup passes the options."""
    return (
        setup.suite != ANALYSIS
        and (not tasks or setup.task in tasks)
        and (not protocol or setup.protocol == protocol or _begins(setup.protocol_hash, protocol))
        and (not data or _begins(setup.data_fingerprint, data))
    )


def _begins(text: str, start: str) -> bool:
    return len(start) >= 4 and text.startswith(start)
