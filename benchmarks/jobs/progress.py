"""The plan of a suite on the console, and the reasons for blocked jobs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from benchmarks.suite.plan import LATER, BackboneCheck, DatasetCheck, PlannedJob, RunPlan
from benchmarks.suite.suite import Suite
from umt.backbones.spec import parse_spec
from umt.backbones.trust import runs_code
from umt.console import Console, print_whole, shown

COLOURS = {
    "later": "yellow",
    "done": "green",
    "to run": "cyan",
    "blocked": "red",
    "failed": "red",
    "elsewhere": "yellow",
}


def print_plan(console: Console, plan: RunPlan, suite: Suite, out: Path) -> None:
    """Print the full plan: backbones, data sets, jobs with their protocol hashes, free disk."""

    def section(title: str, lines: Iterable[str]) -> None:
        print_whole(console, f"\n[bold]{title}[/]")
        for line in lines:
            print_whole(console, line, indent=2)

    section(shown(suite.title), [shown(suite.about)])
    section("Backbones", map(_backbone_line, plan.backbones))
    section("Data sets", map(_dataset_line, plan.datasets))
    section("Jobs, with the hashes of their protocols", map(_job_line, plan.jobs))
    later = sum(job.state == "later" for job in plan.jobs)
    rest = f", {later} later, of students that are distilled first" if later else ""
    free = shutil.disk_usage(next(folder for folder in (out, *out.parents) if folder.exists())).free
    section(
        f"{len(plan.requests())} of {len(plan.jobs)} jobs to run on {plan.device}{rest}",
        [f"results go to {shown(out)}, where {free / 1e9:.0f} GB are free"],
    )


def print_blocked(console: Console, plan: RunPlan) -> None:
    """Print each reason once, before anything runs."""
    for problem in dict.fromkeys(job.problem for job in plan.jobs if job.problem):
        count = sum(job.problem == problem for job in plan.jobs)
        print_whole(console, f"[red]blocked[/] ({count} jobs): {shown(problem)}")


def _backbone_line(item: BackboneCheck) -> str:
    if item.problem:
        colour = "yellow" if item.problem == LATER else "red"
        return f"[{colour}]{shown(item.name.label)}[/]  {shown(item.problem)}"
    spec = parse_spec(item.name.spec)
    name = shown(f"{item.name.label}  {item.name.spec}")
    code = f", [yellow]runs code[/] of {shown(spec.scheme)}" if runs_code(spec) else ""
    random = ", [yellow]random weights[/]" if spec.options.get("pretrained") is False else ""
    dense = f", [yellow]no dense tasks[/]: {shown(item.no_dense)}" if item.no_dense else ""
    evidence = "".join(f"\n  {shown(fact)}: {shown(text)}" for fact, text in item.evidence.items())
    weights = f"{item.parameters / 1e6:.1f} M parameters, weights {item.weights_hash[:12]}"
    return f"{name}  {weights}{random}{code}{dense}{evidence}"


def _dataset_line(item: DatasetCheck) -> str:
    if item.problem:
        return f"[red]{shown(item.name)}[/]  {shown(item.problem)}"
    sizes = ", ".join(f"{count:,} {split}" for split, count in item.sizes.items())
    return f"[green]{shown(item.name)}[/]  {shown(item.folder)}  {shown(item.title)}: {sizes}"


def _job_line(job: PlannedJob) -> str:
    return f"[{COLOURS[job.state]}]{job.state:8}[/]  {job.protocol_hash or '-':12}  {shown(job.title)}"
