"""`umt run`: evaluate backbones on a suite and write its tables."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from benchmarks.actions import perform
from benchmarks.api import RunOutcome, run_suite
from benchmarks.results import ResultStore
from benchmarks.run_options import RunOptions, UsageError
from umt import options
from umt.backbones.spec import read_name, told_apart
from umt.console import Console
from umt.declarations import scalar

EPILOG = """\b
Examples:
  umt run                               the embedded example, in minutes
  umt run ckpt.pth --data-root /data    your checkpoint, the paper's protocols
  umt run --backbone timm:resnet50 --suite mini
  umt run ckpt.pth --data-root /data --dry-run
  umt run ckpt.pth --data-root /data --tables 1,4,6
  umt run ckpt.pth --dataset folder:/data/pets --tasks knn,fewshot
  umt run --suite paper --data-root /data --tables 3 --train
"""


def _pixels(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    """Return the numbers of a list with commas, each once."""
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",") if part))
    except ValueError:
        raise click.BadParameter(f"'{text}' is no list of pixels; write 224,448", context, option) from None


@click.command(epilog=EPILOG)
@click.argument("checkpoints", nargs=-1, metavar="[CKPT.pth ...]")
@options.BACKBONE
@options.suite("paper for named backbones, else mini")
@options.data_root("data, or the embedded data for mini")
@options.DATA
@options.out("runs/SUITE")
@options.TASKS
@options.dataset(multiple=True)
@click.option(
    "--tables",
    metavar="TABLE[,TABLE]",
    help="Only what these tables of the suite need: numbers of the paper's, names of others, e.g. 1,4,probes.",
)
@click.option(
    "--resolutions",
    metavar="PIXELS[,PIXELS]",
    default="",
    callback=_pixels,
    help="Measure each column at these resolutions, e.g. 224,448,896; those without a resolution are left out.",
)
@click.option("--train", is_flag=True, help="With --tables: first distil the students in them.")
@options.YES
@options.TRUST
@options.SEEDS
@options.DEVICE
@options.workers("1 on a GPU, up to 4 on the CPU, 256 on Slurm")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="At most so many processes share the batches of a fine-tuning, each with a GPU of its own; other jobs take "
    "one process.",
)
@click.option(
    "--cache",
    type=options.FOLDER,
    envvar="UMT_CACHE",
    show_envvar=True,
    show_default="OUT/cache",
    help="Folder for the features of frozen backbones, which jobs and runs share.",
)
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), metavar="MINUTES", help="End a job that runs longer."
)
@click.option(
    "--memory-limit",
    type=click.FloatRange(0, min_open=True),
    metavar="GB",
    help="End a job that takes more of the machine's memory; files that the job maps do not count.",
)
@options.COMPILE
@options.WANDB
@click.option(
    "--cluster", type=click.Choice(["slurm", "local"]), help="Run the jobs through submitit: on Slurm, or here."
)
@options.mapping(
    "--cluster-option",
    "cluster_options",
    "KEY=VALUE",
    scalar,
    "Option of submitit, e.g. timeout_min=600; may be repeated.",
)
@options.DRY_RUN
def run(checkpoints: tuple[str, ...], names: tuple[str, ...], **values: Any) -> None:
    """Evaluate backbones on a suite and write its tables.

    Backbones are checkpoint files or names (`umt backbones list`). Without any, the embedded example runs on
    embedded data. OUT gets results, tables and logs. A run that was interrupted goes on where it stopped: type the same
    command again.

    --dataset may be repeated: frozen probes, or the tasks in --tasks, are measured on these data sets instead of the
    suite's. --train asks before it trains, and shows the cost. --dry-run prints the plan: jobs, data,
    weights, disk and protocols.
    """
    console, started = Console(), time.perf_counter()
    backbones = told_apart([read_name(text, trusted=True) for text in (*checkpoints, *names)])
    suite = values.pop("suite") or ("paper" if backbones else "mini")
    try:
        outcome = run_suite(RunOptions(backbones, suite, **values), console)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    if values["dry_run"]:
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
    blocked = sum(job.state == "blocked" for job in outcome.plan.jobs)
    failed = sum(report.status != "done" for report in outcome.reports.values())
    if blocked or failed:
        remedy = "" if dry_run else "; the same command runs them again"
        console.print(f"[red]{blocked} jobs blocked, {failed} without a result[/]{remedy}")
    return 1 if blocked or failed or outcome.uncompared else 0
