"""`umt run`: evaluate backbones on a suite and write its tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.actions import perform
from benchmarks.api import RunOutcome, run_suite
from benchmarks.results import ResultStore
from benchmarks.run_options import RunOptions, UsageError
from umt.backbones.spec import read_name, told_apart
from umt.console import Console
from umt.declarations import scalar
from umt.errors import MissingFileError, OptionError

EPILOG = """\b
Examples:
  bash benchmarks/run_all.sh                                   the embedded example: distils, evaluates, in minutes
  bash benchmarks/run_all.sh ckpt.pth --data-root /data        your checkpoint, the paper's protocols
  bash benchmarks/run_all.sh --backbone timm:resnet50 --suite mini
  bash benchmarks/run_all.sh ckpt.pth --data-root /data --dry-run
  bash benchmarks/run_all.sh ckpt.pth --data-root /data --tables 1,4,6
  bash benchmarks/run_all.sh ckpt.pth --dataset folder:/data/pets --tasks knn,finegrained_linear
  bash benchmarks/run_all.sh --suite paper --data-root /data --tables 3 --train
"""


def pairs(option: str, texts: tuple[str, ...], convert: Callable[[str], Any]) -> dict[str, Any]:
    """NAME=VALUE texts of an option as a mapping; UMTError for a text that is none."""
    values = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise OptionError(f"{option} {text}: write it as NAME=VALUE")
        values[name] = convert(value)
    return values


def _mapping(convert: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """Return what click calls to read an option of NAME=VALUE texts."""
    return lambda context, option, texts: pairs(option.opts[0], texts, convert)


def _split(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Read an option of lists with commas, which may be repeated."""
    return tuple(name for text in texts for name in text.split(","))


@click.command(epilog=EPILOG)
@click.argument("checkpoints", nargs=-1, metavar="[CKPT.pth ...]")
@click.option("--backbone", "named", multiple=True, metavar="[LABEL=]SPEC", help="A backbone by name; may be repeated.")
@click.option(
    "--suite",
    metavar="NAME",
    help="paper, mini or a YAML file. Default: paper for named backbones, else mini.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that holds the data sets in their official layouts. Default: data, or the embedded data for mini.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=DIR",
    callback=_mapping(lambda folder: Path(folder).resolve()),
    help="Folder of one data set; may be repeated.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Results, tables and logs. Default: runs/SUITE.")
@click.option("--tasks", multiple=True, metavar="TASK[,TASK]", callback=_split, help="Only these tasks of the suite.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME",
    help="Measure on this data set instead of the suite's: a name, NAME?option=value, or folder:PATH of labelled "
    "images; frozen probes, or the tasks in --tasks. May be repeated.",
)
@click.option(
    "--tables",
    metavar="TABLE[,TABLE]",
    help="Only what these tables of the suite need: numbers of the paper's, names of others, e.g. 1,4,probes.",
)
@click.option(
    "--train", is_flag=True, help="With --tables: first distil their students, after a question with the cost."
)
@click.option("--yes", is_flag=True, help="With --train: do not ask.")
@click.option(
    "--trust",
    multiple=True,
    metavar="FILE",
    help="A suite or recipe file that may run code: backbones in it may be path.py:factory. May be repeated.",
)
@click.option("--seeds", type=click.IntRange(1), help="Runs of each job. Default: the suite's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--workers", type=click.IntRange(1), help="Jobs at a time. Default: 1 on a GPU, up to 4 on the CPU, 256 on Slurm."
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="At most so many processes share the batches of a fine-tuning, each with a GPU of its own; others take one.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    envvar="UMT_CACHE",
    show_envvar=True,
    help="Folder for features of frozen backbones, which jobs and runs share. Default: OUT/cache.",
)
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), metavar="MINUTES", help="A job that runs longer is ended."
)
@click.option(
    "--memory-limit",
    type=click.FloatRange(0, min_open=True),
    metavar="GB",
    help="A job that takes more memory of the machine is ended; files that it maps do not count.",
)
@click.option("--compile", "compiled", is_flag=True, help="Frozen backbones through torch.compile; a minute to start.")
@click.option("--wandb", is_flag=True, help="Send the curves of trainings to Weights & Biases, too.")
@click.option("--cluster", type=click.Choice(["slurm", "local"]), help="Send the jobs through submitit.")
@click.option(
    "--cluster-option",
    "cluster_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_mapping(scalar),
    help="E.g. timeout_min=600.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan (jobs, data, weights, disk, protocols) and run no job.")
def run(checkpoints: tuple[str, ...], named: tuple[str, ...], **options: Any) -> None:
    """Evaluate backbones and write Table 1 with their rows in it.

    Backbones are checkpoint files or names (`umt backbones list`). Without any, the embedded example runs on
    embedded data. A run that was interrupted goes on where it stopped: type the same command again.
    """
    console, started = Console(), time.perf_counter()
    backbones = told_apart([read_name(text, trusted=True) for text in (*checkpoints, *named)])
    suite = options.pop("suite") or ("paper" if backbones else "mini")
    try:
        outcome = run_suite(RunOptions(backbones, suite, **options), console)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    if options["dry_run"]:
        sys.exit(_summary(console, outcome, dry_run=True))
    if ResultStore(outcome.out / "results").paths():
        tables = outcome.out / "tables"
        perform("report", isolated=False, results=outcome.out / "results", out=tables, suite=outcome.suite)
    _print_times(console, outcome, time.perf_counter() - started)
    sys.exit(_summary(console, outcome))


def _print_times(console: Console, outcome: RunOutcome, wall: float) -> None:
    """Print the seconds of the preparation, of the jobs, and of the suite itself."""
    if outcome.reports:
        jobs = sum(report.seconds for report in outcome.reports.values()) / outcome.workers
        rest = max(0.0, wall - outcome.preparing - jobs)
        console.print(
            f"{wall:.0f} s: {outcome.preparing:.0f} s preparation, {jobs:.0f} s jobs, "
            f"{rest:.1f} s the suite ({rest / wall:.1%})"
        )


def _summary(console: Console, outcome: RunOutcome, *, dry_run: bool = False) -> int:
    """Say what is missing; return the exit status."""
    awaited = _awaited(outcome) if dry_run else set()
    blocked = sum(job.state == "blocked" and job.problem not in awaited for job in outcome.plan.jobs)
    failed = sum(report.status != "done" for report in outcome.reports.values())
    if blocked or failed:
        again = "" if dry_run else "; the same command runs them again"
        console.print(f"[red]{blocked} jobs blocked, {failed} without a result[/]{again}")
    return 1 if blocked or failed or outcome.uncompared else 0


def _awaited(outcome: RunOutcome) -> set[str | None]:
    """Return the problems of students of the suite that a run would distil first."""
    suites_own = [check for check in outcome.plan.backbones if not check.name.trusted]
    return {check.problem for check in suites_own if MissingFileError.code in (check.problem or "")}
