"""`python -m benchmarks.perf.many_backbones`: the suite's own time when 20 small backbones do every task.

Jobs go through submitit's local executor, the path that a cluster takes: each is a submission of its own and imports
torch, which is most of what the suite adds to a small job.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.api import execute
from benchmarks.jobs.cluster import ClusterExecutor
from benchmarks.jobs.preflight import make_plan
from benchmarks.jobs.status import StatusFile
from benchmarks.results import ResultStore
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.suite import load_suite
from umt.backbones.spec import read_name
from umt.console import Console
from umt.data.mini.write import write_mini

SUITE = Path(__file__).parent / "many_backbones_suite" / "suite.yaml"
SMALL_DATA = {
    "imagenet": 64,
    "aircraft": (4, 2, 4),
    "caltech101": 2,
    "cub": (4, 4),
    "ade20k": (8, 4),
    "nyuv2": ((2, 2), (1, 1)),
}
ARCHITECTURES = (
    *("resnet", "vit", "efficientnet", "convnext", "byobnet", "mambaout", "nfnet", "vit2", "vit3", "vit4"),
    *("convnext2", "convnext3", "efficientnet_evos", "efficientnet_ln"),
)
NORMALISATIONS = ("", "&mean=0.5&std=0.5")


@dataclass(frozen=True)
class Overhead:
    """Seconds of a suite."""

    jobs: int
    done: int
    planning: float
    running: float  # from the first submission to the last report
    in_jobs: float  # their measurements, summed; not their imports
    replanning: float  # to find that everything is done
    workers: int

    @property
    def overhead(self) -> float:
        """The seconds of a job beside its own work: imports, two processes, the wait until its end is noticed."""
        return (self.running * self.workers - self.in_jobs) / self.jobs

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs, {self.done} done: {self.in_jobs:.0f} s in jobs, {self.running:.0f} s in the suite on "
            f"{self.workers} at a time, {self.overhead:.2f} s overhead a job; planned in {self.planning:.1f} s, "
            f"and in {self.replanning:.1f} s when everything was done"
        )


def specs(count: int) -> list[str]:
    """Return so many backbones with random weights, every architecture before the next normalisation."""
    names = [
        f"{name}{number or ''}=timm:test_{name}?pretrained=false{option}"
        for number, option in enumerate(NORMALISATIONS)
        for name in ARCHITECTURES
    ]
    return names[:count]


def run_suite(backbones: Sequence[str], tasks: Sequence[str], workers: int, folder: Path, console: Console) -> Overhead:
    """Plan, run and plan again, on embedded images below `folder`."""
    write_mini(folder / "data", SMALL_DATA)
    suite = load_suite(str(SUITE))
    out = folder / "out"
    options = PlanOptions(
        suite, tuple(map(read_name, backbones)), folder / "data", {}, out, tuple(tasks), suite.seeds, "cpu"
    )
    started = time.perf_counter()
    plan = make_plan(options)
    planned = time.perf_counter()
    note = StatusFile(out, "many_backbones", plan)
    execute(plan, ClusterExecutor("local", out / "cluster", {}, workers), console, note)
    ended = time.perf_counter()
    done = sum(job.state == "done" for job in make_plan(options).jobs)
    return Overhead(
        jobs=len(plan.jobs),
        done=done,
        planning=planned - started,
        running=ended - planned,
        in_jobs=sum(result.wall_seconds for result in ResultStore(out / "results")),
        replanning=time.perf_counter() - ended,
        workers=workers,
    )


@click.command()
@click.option("--backbones", type=click.IntRange(1, len(specs(99))), default=20, show_default=True)
@click.option("--tasks", default="", metavar="TASK[,TASK]", help="Default: all.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def main(backbones: int, tasks: str, workers: int) -> None:
    """Print jobs, seconds in jobs, seconds in the suite, and the overhead of a job."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        names = [name for name in tasks.split(",") if name]
        console.print(str(run_suite(specs(backbones), names, workers, Path(folder), console)), soft_wrap=True)


if __name__ == "__main__":
    main()
