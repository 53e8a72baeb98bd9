"""What the suite prints: the plan, live progress, and how each job ended."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.job import Report, Request
from benchmarks.plan import Plan, PlannedJob
from benchmarks.suite import Suite

COLOURS = {"done": "green", "to run": "cyan", "blocked": "red", "failed": "red", "elsewhere": "yellow"}


def print_plan(console: Console, plan: Plan, suite: Suite, out: Path) -> None:
    """The whole plan: backbones, data sets, jobs with their protocol hashes, free disk."""
    console.print(f"[bold]{suite.title}[/]: {suite.about}\n")
    console.print(_backbone_table(plan), _dataset_table(plan), _job_table(plan.jobs), sep="\n")
    free = shutil.disk_usage(next(folder for folder in (out, *out.parents) if folder.exists())).free
    console.print(f"{len(plan.requests())} of {len(plan.jobs)} jobs to run; results in {out}, {free / 1e9:.0f} GB free")


def print_blocked(console: Console, plan: Plan) -> None:
    """Each reason once, before anything runs."""
    for problem in dict.fromkeys(job.problem for job in plan.jobs if job.problem):
        count = sum(job.problem == problem for job in plan.jobs)
        console.print(f"[red]blocked[/] ({count} jobs): {escape(problem)}", soft_wrap=True)


class LiveJobs:
    """Progress of the suite: one bar for all jobs, one for each that runs, one line for each that ended."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.overall = self.progress.add_task("all jobs", total=total, note="")
        self.bars: dict[Request, TaskID] = {}
        self.reports: list[Report] = []

    def __enter__(self) -> LiveJobs:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def start(self, request: Request) -> None:
        self.bars[request] = self.progress.add_task(escape(request.title), total=None, note="starting")

    def advance(self, request: Request, done: int, total: int, text: str) -> None:
        self.progress.update(self.bars[request], completed=done, total=total, note=escape(text))

    def end(self, request: Request, report: Report) -> None:
        self.reports.append(report)
        self.progress.remove_task(self.bars.pop(request))
        self.progress.advance(self.overall)
        head = f"[{COLOURS[report.status]}]{report.status}[/] {escape(request.title)} ({report.seconds:.0f} s)"
        self.console.print(f"{head}{': ' if report.message else ''}{escape(report.message)}", soft_wrap=True)


def _backbone_table(plan: Plan) -> Table:
    table = Table("backbone", "name", "parameters", "weights", title="Backbones", title_justify="left")
    for item in plan.backbones:
        state = f"[red]{escape(item.problem)}[/]" if item.problem else item.weights_hash[:12]
        size = "" if item.problem else f"{item.parameters / 1e6:.1f} M"
        table.add_row(escape(item.label), escape(item.spec), size, state)
    return table


def _dataset_table(plan: Plan) -> Table:
    table = Table("data set", "expected at", "found", title="Data sets", title_justify="left")
    for item in plan.datasets:
        sizes = ", ".join(f"{count} {split}" for split, count in item.sizes.items())
        found = f"[red]{escape(item.problem)}[/]" if item.problem else f"{escape(item.title)}: {sizes}"
        table.add_row(item.name, str(item.expected), found)
    return table


def _job_table(jobs: tuple[PlannedJob, ...]) -> Table:
    table = Table("job", "protocol hash", "state", title="Jobs", title_justify="left")
    for job in jobs:
        table.add_row(escape(job.title), job.protocol_hash, f"[{COLOURS[job.state]}]{job.state}[/]")
    return table
