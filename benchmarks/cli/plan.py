"""`umt plan`: the cost of a suite before it runs, from the work of its jobs and the speed of the backbones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.table import Table

from benchmarks.cost.estimate import JobEstimate, dataset_gigabytes, devices_needed, estimates, measured_seconds
from benchmarks.jobs.forkserver import default_workers
from benchmarks.jobs.preflight import chosen_columns
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.suite import Suite, load_suite
from umt import options
from umt.backbones.spec import read_name, told_apart
from umt.console import Console, shown
from umt.data.mini.write import write_mini
from umt.errors import OptionError
from umt.files import component
from umt.text import duration
from umt.training.device import pick_device

EPILOG = """\b
Examples:
  umt plan --suite paper --backbone timm:resnet50 --data-root /data --gpus 8
  umt plan --suite mini --backbone timm:resnet18 --check runs/mini/results
"""


@click.command(epilog=EPILOG)
@click.argument("checkpoints", nargs=-1, metavar="[CKPT.pth ...]")
@options.BACKBONE
@options.suite("paper")
@options.data_root("data, or the embedded data for mini")
@options.DATA
@options.TASKS
@options.SEEDS
@options.DEVICE
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="Devices that share the jobs.")
@options.workers("on each device 1 if it is a GPU, up to 4 if it is the CPU")
@options.out("runs/SUITE")
@click.option("--check", type=options.FOLDER, help="A result store; its jobs' times are shown beside the estimates.")
def plan(
    checkpoints: tuple[str, ...],
    names: tuple[str, ...],
    suite: str | None,
    data_root: Path | None,
    data: Mapping[str, Path],
    tasks: tuple[str, ...],
    seeds: int | None,
    device: str,
    gpus: int,
    workers: int | None,
    out: Path | None,
    check: Path | None,
) -> None:
    """Estimate the device hours and the disk of a suite before it runs.

    A job takes the images that it processes, times their multiply-adds, at the speed of the backbone's forward. OUT is
    the folder of the run: the speed is what the task `throughput` measured in OUT/results or in --check on such a
    device. Without such a result it is measured here, in a few forwards. Training and heads are not as fast as
    forwards, so that a job may take from half to twice that time. It takes at least the time to decode its images, and
    up to 15 seconds more. A data set that is not there counts with its official size.
    """
    chosen_suite, console = load_suite(suite or "paper"), Console()
    if not checkpoints and not names:
        raise click.UsageError("name a checkpoint, or --backbone SPEC")
    out = out or Path("runs") / component(chosen_suite.name)
    plan_options = PlanOptions(
        suite=chosen_suite,
        backbones=told_apart([read_name(text, trusted=True) for text in (*checkpoints, *names)]),
        data_root=data_root or _data_root(chosen_suite, out),
        data=data,
        out=out,
        tasks=tasks,
        seeds=seeds or chosen_suite.seeds,
        device=device,
    )
    torch_device = pick_device(device)
    at_once = workers or default_workers(str(torch_device))
    took = measured_seconds(check) if check else {}
    stores = [out / "results", *([check] if check else [])]
    with console.status("Counting the work, and measuring the speed of each backbone"):
        job_estimates = estimates(plan_options, torch_device, at_once, stores)
    console.print(_table(job_estimates, took))
    for line in _totals(
        job_estimates, took, gpus, at_once, [column.dataset for column in chosen_columns(plan_options)]
    ):
        console.print(line, soft_wrap=True, highlight=False)
    if not any(estimate.high for estimate in job_estimates):
        raise OptionError("the cost of no job is known; the table says why")


def _data_root(suite: Suite, out: Path) -> Path:
    if not suite.embedded_data:
        return Path("data")
    write_mini(out / "data", names=suite.bases)
    return out / "data"


def _table(estimates: Sequence[JobEstimate], took: Mapping[str, float]) -> Table:
    table = Table("job", "time", "features", "checkpoint", *(("took", "in range") if took else ()))
    for estimate in estimates:
        if estimate.problem:
            table.add_row(shown(estimate.title), f"[red]{shown(estimate.problem)}")
            continue
        cells = [
            shown(estimate.title),
            _range(estimate.low, estimate.high),
            _size(estimate.features),
            _size(estimate.checkpoint),
        ]
        real = took.get(estimate.title)
        table.add_row(*cells, *([duration(real), _verdict(estimate, real)] if real else []))
    return table


def _totals(
    estimates: Sequence[JobEstimate], took: Mapping[str, float], gpus: int, workers: int, datasets: Sequence[str]
) -> list[str]:
    known = [estimate for estimate in estimates if not estimate.problem]
    low, high = [estimate.low for estimate in known], [estimate.high for estimate in known]
    unknown = f", and {len(estimates) - len(known)} of unknown cost" if len(estimates) > len(known) else ""
    hours = [sum(seconds) / workers / 3600 for seconds in (low, high)]
    ends = [devices_needed(seconds, gpus * workers) for seconds in (low, high)]
    data = sum(dataset_gigabytes(datasets).values())
    features = sum(estimate.features for estimate in known)
    lines = [
        f"{len(known)} jobs{unknown}: {hours[0]:.2f} to {hours[1]:.2f} device hours, "
        f"{_range(*ends)} on {gpus} {'device' if gpus == 1 else 'devices'}",
        f"disk: official data sets {data:.0f} GB, features {_size(features)}, checkpoints while jobs run "
        f"{_size(gpus * workers * max((estimate.checkpoint for estimate in known), default=0))}",
    ]
    checked = [(estimate, took[estimate.title]) for estimate in known if estimate.title in took]
    if checked:
        within = sum(estimate.low <= real <= estimate.high for estimate, real in checked)
        total = duration(sum(real for _, real in checked))
        lines.append(f"check: {within} of {len(checked)} jobs took a time in their range; together {total}")
    return lines


def _range(low: float, high: float) -> str:
    return f"{duration(low)} – {duration(high)}"


def _verdict(estimate: JobEstimate, real: float) -> str:
    if estimate.low <= real <= estimate.high:
        return "yes"
    return "less" if real < estimate.low else "more"


def _size(count: float) -> str:
    if not count:
        return "–"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
