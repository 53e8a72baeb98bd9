"""Output of the suite: the plan, live progress, and the end of each job."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.suite.plan import BackboneCheck, DatasetCheck, PlannedJob, RunPlan
from benchmarks.suite.request import JobReport, JobRequest
from benchmarks.suite.suite import Suite
from umt.backbones.spec import parse_spec
from umt.backbones.trust import runs_code
from umt.console import Console, shown

COLOURS = {"done": "green", "to run": "cyan", "blocked": "red", "failed": "red", "elsewhere": "yellow"}


def print_plan(console: Console, plan: RunPlan, suite: Suite, out: Path) -> None:
    """Print the full plan: backbones, data sets, jobs with their protocol hashes, free disk. Lines are never cut."""

    def section(title: str, lines: Iterable[str]) -> None:
        console.print(
            f"\n[bold]{title}[/]", *(f"  {line}" for line in lines), sep="\n", soft_wrap=True, highlight=False
        )

    section(shown(suite.title), [shown(suite.about)])
    section("Backbones", map(_backbone_line, plan.backbones))
    section("Data sets", map(_dataset_line, plan.datasets))
    section("Jobs, with the hashes of their protocols", map(_job_line, plan.jobs))
    free = shutil.disk_usage(next(folder for folder in (out, *out.parents) if folder.exists())).free
    section(
        f"{len(plan.requests())} of {len(plan.jobs)} jobs to run on {plan.device}",
        [f"results go to {shown(out)}, where {free / 1e9:.0f} GB are free"],
    )


def print_blocked(console: Console, plan: RunPlan) -> None:
    """Print each reason once, before anything runs."""
    for problem in dict.fromkeys(job.problem for job in plan.jobs if job.problem):
        count = sum(job.problem == problem for job in plan.jobs)
        console.print(f"[red]blocked[/] ({count} jobs): {shown(problem)}", soft_wrap=True)


class LiveJobs:
    """Progress of the suite: a bar for all jobs, a bar for each running job, a line for each ended job."""

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
        self.bars: dict[JobRequest, TaskID] = {}
        self.reports: dict[JobRequest, JobReport] = {}

    def __enter__(self) -> LiveJobs:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def start(self, request: JobRequest) -> None:
        self.bars[request] = self.progress.add_task(shown(request.title), total=None, note="starting")

    def advance(self, request: JobRequest, done: int, total: int, text: str) -> None:
        self.progress.update(self.bars[request], completed=done, total=total, note=shown(text))

    def end(self, request: JobRequest, report: JobReport) -> None:
        self.reports[request] = report
        self.progress.remove_task(self.bars.pop(request))
        self.progress.advance(self.overall)
        head = f"[{COLOURS[report.status]}]{report.status}[/] {shown(request.title)} ({report.seconds:.0f} s)"
        self.console.print(f"{head}{': ' if report.message else ''}{shown(report.message)}", soft_wrap=True)


def _backbone_line(item: BackboneCheck) -> str:
    if item.problem:
        return f"[red]{shown(item.name.label)}[/]  {shown(item.problem)}"
    spec = parse_spec(item.name.spec)
    name = shown(f"{item.name.label}  {item.name.spec}")
    code = f", [yellow]runs code[/] of {shown(spec.scheme)}" if runs_code(spec) else ""
    random = ", [yellow]random weights[/]" if spec.options.get("pretrained") is False else ""
    dense = f", [yellow]no dense tasks[/]: {shown(item.no_dense)}" if item.no_dense else ""
    evidence = "".join(f"\n    {shown(fact)}: {shown(text)}" for fact, text in item.evidence.items())
    weights = f"{item.parameters / 1e6:.1f} M parameters, weights {item.weights_hash[:12]}"
    return f"{name}  {weights}{random}{code}{dense}{evidence}"


def _dataset_line(item: DatasetCheck) -> str:
    if item.problem:
        return f"[red]{shown(item.name)}[/]  {shown(item.problem)}"
    sizes = ", ".join(f"{count:,} {split}" for split, count in item.sizes.items())
    return f"[green]{shown(item.name)}[/]  {shown(item.expected)}  {shown(item.title)}: {sizes}"


def _job_line(job: PlannedJob) -> str:
    return f"[{COLOURS[job.state]}]{job.state:8}[/]  {job.protocol_hash or '-':12}  {shown(job.title)}"
