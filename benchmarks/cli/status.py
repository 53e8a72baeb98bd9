"""`umt status`: the jobs of a run, from any machine that sees its folder."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from pathlib import Path

import click
import psutil

from benchmarks.jobs.status import FOLDER, RUNNING, JobState, RunState, counts, read_runs
from umt.console import Console, print_whole, shown
from umt.errors import MissingFileError
from umt.text import duration

SILENT_SECONDS = 600  # without a sign of any job: it may hang, or its process may be gone
LISTED = ("failed", "blocked", "elsewhere", RUNNING)  # the states whose jobs get a line, the running ones last

EPILOG = """\b
Examples:
  umt status                       the newest run below runs/
  umt status runs/paper
  watch -n 10 umt status runs/paper
"""


@click.command(epilog=EPILOG)
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
def status(folder: Path | None) -> None:
    """Tell the state of a run: jobs that are done, that run, that failed, their last lines, and the time left.

    DIR is the --out folder of a run. The run notes its state there, so that the command works on any machine that sees
    the folder. The time left comes from jobs of the same task that are done.
    """
    console, now = Console(), time.time()
    for number, run in enumerate(read_runs(folder or _newest(Path("runs")))):
        if number == 0 or not run.ended:
            for line in _lines(run, now):
                print_whole(console, line)


def _newest(runs: Path) -> Path:
    """Return the folder below `runs` in which a run gave the last sign; UMTError if there is none."""
    files = [path for path in runs.glob(f"*/{FOLDER}/*.json") if path.is_file()]
    if not files:
        raise MissingFileError(f"{runs}/*/{FOLDER}: no run has noted its state there; name the --out folder of a run")
    return max(files, key=lambda path: path.stat().st_mtime).parent.parent


def _lines(run: RunState, now: float) -> Iterator[str]:
    numbers = counts(run.jobs)
    parts = ", ".join(f"{count} {state}" for state, count in numbers.items())
    yield f"[bold]{shown(run.suite)}[/] on {shown(run.host)} (process {run.process}), {_sign(run, now)}"
    yield f"  {len(run.jobs)} jobs: {parts}{_time_left(run, now)}"
    for state in LISTED:
        for job in run.jobs:
            if job.state == state:
                yield f"  {state:9}  {shown(job.title)}{_detail(job, now)}"


def _sign(run: RunState, now: float) -> str:
    if run.ended:
        return f"ended {duration(now - run.changed)} ago"
    silent = now - run.changed
    if run.host == platform.node() and not psutil.pid_exists(run.process):
        warning = "; [red]its process is gone, the same command goes on[/]"
    else:
        warning = "; [yellow]it may hang, or be gone[/]" if silent > SILENT_SECONDS else ""
    return f"began {duration(now - run.began)} ago, last sign {duration(silent)} ago{warning}"


def _time_left(run: RunState, now: float) -> str:
    seconds = None if run.ended else run.seconds_left(now)
    return f"; about {duration(seconds)} left" if seconds else ""


def _detail(job: JobState, now: float) -> str:
    if job.state != RUNNING:
        return f": {shown(job.text)}" if job.text else ""
    progress = f"{job.done}/{job.total}, " if job.total else ""
    return f"  {progress}{shown(job.text) or 'starting'} ({duration(now - job.began)})"
