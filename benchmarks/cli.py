"""`umt run`: evaluate backbones on a suite and write its tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks.console import LiveJobs, print_blocked, print_plan
from benchmarks.job import Report
from benchmarks.limits import Limits
from benchmarks.plan import Options, Plan
from benchmarks.processes import Executor, LocalExecutor, call, default_workers, fork_server
from benchmarks.results import ResultStore
from benchmarks.suite import Suite, load_suite
from benchmarks.tables import Part, analyse, chosen_tables, example_backbones, train_students
from umt.backbones.label import read_name
from umt.console import Console
from umt.declarations import scalar
from umt.errors import OptionError
from umt.files import component, writable_folder
from umt.text import printable

EPILOG = """\b
Examples:
  bash benchmarks/run_all.sh                                   the embedded example: distils, evaluates, in minutes
  bash benchmarks/run_all.sh ckpt.pth --data-root /data        your checkpoint, the paper's protocols
  bash benchmarks/run_all.sh --backbone timm:resnet50 --suite mini
  bash benchmarks/run_all.sh ckpt.pth --data-root /data --dry-run
  bash benchmarks/run_all.sh ckpt.pth --data-root /data --tables 1,4,6
  bash benchmarks/run_all.sh --suite paper --data-root /data --tables 3 --train
"""


@click.command(epilog=EPILOG)
@click.argument("checkpoints", nargs=-1, metavar="[CKPT.pth ...]")
@click.option(
    "--backbone", "named_backbones", multiple=True, metavar="[LABEL=]SPEC", help="A backbone by name; may be repeated."
)
@click.option(
    "--suite",
    "suite_name",
    metavar="NAME",
    help="paper, mini or a YAML file. Default: paper for named backbones, else mini.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that holds the data sets in their official layouts. Default: data, or the embedded data for mini.",
)
@click.option("--data", "single", multiple=True, metavar="NAME=DIR", help="Folder of one data set; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path), help="Results, tables and logs. Default: runs/SUITE.")
@click.option("--tasks", multiple=True, metavar="TASK[,TASK]", help="Only these tasks of the suite.")
@click.option("--tables", metavar="N[,N]", help="What these tables of the paper need, instead of the whole suite.")
@click.option(
    "--train", is_flag=True, help="With --tables: first distil the students in them; tells the cost and asks."
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
@click.option("--cluster", type=click.Choice(["slurm", "local"]), help="Send the jobs through submitit.")
@click.option("--cluster-option", "cluster_options", multiple=True, metavar="KEY=VALUE", help="E.g. timeout_min=600.")
@click.option("--dry-run", is_flag=True, help="Print the plan (jobs, data, weights, disk, protocols) and run no job.")
@click.pass_context
def run(
    context: click.Context,
    checkpoints: tuple[str, ...],
    named_backbones: tuple[str, ...],
    suite_name: str | None,
    data_root: Path | None,
    single: tuple[str, ...],
    out: Path | None,
    tasks: tuple[str, ...],
    tables: str | None,
    train: bool,
    yes: bool,
    trust: tuple[str, ...],
    seeds: int | None,
    device: str,
    workers: int | None,
    processes: int,
    cache: Path | None,
    time_limit: float | None,
    memory_limit: float | None,
    compiled: bool,
    cluster: str | None,
    cluster_options: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Evaluate backbones and write Table 1 with their rows in it.

    Backbones are checkpoint files or names (`umt backbones list`). Without any, the embedded example runs on
    embedded data. A run that was interrupted goes on where it stopped: type the same command again.
    """
    console, started = Console(), time.perf_counter()
    named = tuple(read_name(text, trusted=True) for text in (*checkpoints, *named_backbones))
    suite = load_suite(suite_name or ("paper" if named else "mini"))
    if train and not tables:
        raise click.UsageError("--train distils the students of tables; name them with --tables")
    if not named and not (suite.example or suite.example_students) and not train:
        raise click.UsageError(f"suite '{printable(suite.name)}' has no example; name a checkpoint or --backbone SPEC")
    limits = Limits(time_limit and time_limit * 60, memory_limit and memory_limit * 1e9)
    submission = pairs("--cluster-option", cluster_options, scalar)
    if cluster == "slurm" and not submission.keys() & {"timeout_min", "slurm_time"}:
        raise click.UsageError("--cluster slurm ends what takes too long: add --cluster-option timeout_min=MINUTES")
    out = (out or Path("runs") / component(suite.name)).resolve()
    if not dry_run:
        writable_folder(out, "--out")
    root = _data_root(data_root, suite, out, console)
    asked = chosen_tables(suite, tables) if tables else []
    students = train_students(asked, root, out, console, trust, sure=yes, dry_run=dry_run) if train else ()
    backbones = (*named, *students)
    if not backbones and not train:
        backbones = example_backbones(suite, root, out, console, trust, dry_run=dry_run)
    server = fork_server()
    options = Options(
        suite=suite,
        backbones=backbones,
        data_root=root,
        data=pairs("--data", single, lambda folder: Path(folder).resolve()),
        out=out,
        tasks=tuple(name for part in tasks for name in part.split(",")),
        seeds=seeds or suite.seeds,
        device=device,
        cache=cache.resolve() if cache else None,
        compiled=compiled,
        processes=processes,
        seconds=limits.seconds,
    )
    prepared = time.perf_counter() - started
    with console.status("Loading backbones and looking at the data"):
        parts: list[Part] = call(server, "benchmarks.tables:parts_of", suite, asked, backbones)
        plans = [replace(options, suite=part, backbones=names) for part, names in parts]
        plan = Plan.merged([call(server, "benchmarks.preflight:make_plan", one) for one in plans])
    if dry_run:
        print_plan(console, plan, suite, out)
        return
    side_by_side = workers or default_workers(plan.device)
    if cluster:
        at_once = side_by_side if cluster == "local" else workers
        executor: Executor = _cluster_executor(cluster, out, submission, at_once, limits)
    else:
        executor = LocalExecutor(server, side_by_side, limits)
    reports = execute(plan, executor, console)
    failed = analyse(asked, backbones, root, out, console)
    _write_tables(context, suite, out)
    _print_times(console, reports, time.perf_counter() - started, prepared, side_by_side)
    sys.exit(_summary(console, plan, reports) or min(failed, 1))


def execute(plan: Plan, executor: Executor, console: Console) -> list[Report]:
    """Run what is to run; how each job ended."""
    requests = plan.requests()
    done = sum(job.state == "done" for job in plan.jobs)
    console.print(f"{len(plan.jobs)} jobs: {done} done before, {len(requests)} to run")
    print_blocked(console, plan)
    try:
        with LiveJobs(console, len(requests)) as live:
            executor.run(requests, live.start, live.advance, live.end)
    except KeyboardInterrupt:
        console.print("interrupted; finished jobs are kept, and the same command goes on")
        raise
    return live.reports


def _print_times(console: Console, reports: list[Report], wall: float, prepared: float, workers: int) -> None:
    """Where the time went: embedded data and student, jobs, and what the suite itself took."""
    if reports:
        jobs = sum(report.seconds for report in reports) / workers
        rest = max(0.0, wall - prepared - jobs)
        console.print(
            f"{wall:.0f} s: {prepared:.0f} s preparation, {jobs:.0f} s jobs, {rest:.1f} s the suite ({rest / wall:.1%})"
        )


def _summary(console: Console, plan: Plan, reports: list[Report]) -> int:
    """Say what is missing; the exit status."""
    blocked = sum(job.state == "blocked" for job in plan.jobs)
    failed = sum(report.status != "done" for report in reports)
    if blocked or failed:
        console.print(f"[red]{blocked} jobs blocked, {failed} without a result[/]; the same command runs them again")
    return 1 if blocked or failed else 0


def _cluster_executor(
    kind: str, out: Path, submission: dict[str, Any], at_once: int | None, limits: Limits
) -> Executor:
    from benchmarks.cluster import ClusterExecutor

    return ClusterExecutor(kind, out / "cluster", submission, at_once, limits)


def _data_root(data_root: Path | None, suite: Suite, out: Path, console: Console) -> Path:
    if data_root:
        return data_root.resolve()
    if not suite.embedded_data:
        return Path("data").resolve()
    from umt.data.mini.write import write_mini

    with console.status("Writing the embedded data"):
        write_mini(out / "data")
    return out / "data"


def pairs(option: str, texts: tuple[str, ...], convert: Callable[[str], Any]) -> dict[str, Any]:
    """NAME=VALUE texts of an option as a mapping; UMTError for a text that is none."""
    values = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise OptionError(f"{option} {text}: write it as NAME=VALUE")
        values[name] = convert(value)
    return values


def _write_tables(context: click.Context, suite: Suite, out: Path) -> None:
    """Ask the sibling command `report` for the tables: the suite does not know how they are made."""
    group = context.parent.command if context.parent else None
    report = group.get_command(context, "report") if isinstance(group, click.Group) else None
    if report and ResultStore(out / "results").paths():
        context.invoke(report, results=out / "results", out=out / "tables", suite=suite.source)
