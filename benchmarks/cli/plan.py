"""`umt plan`: the cost of a suite, from a few steps of every job on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.table import Table

from benchmarks.cli.run import pairs
from benchmarks.cost.estimate import Estimate, dataset_gigabytes, devices_needed, estimates, measured_seconds
from benchmarks.jobs.forkserver import default_workers
from benchmarks.jobs.preflight import chosen_columns
from benchmarks.suite.plan import Options
from benchmarks.suite.suite import load_suite
from umt.backbones.spec import read_name, told_apart
from umt.console import Console, shown
from umt.durations import duration
from umt.errors import OptionError
from umt.files import component
from umt.training.device import pick_device

EPILOG = """\b
Examples:
  umt plan --suite paper --backbone timm:resnet50 --data-root /data --gpus 8
  umt plan --suite mini --backbone timm:resnet18 --data-root runs/mini/data --check runs/mini/results
"""


@click.command(epilog=EPILOG)
@click.argument("checkpoints", nargs=-1, metavar="[CKPT.pth ...]")
@click.option("--backbone", "named", multiple=True, metavar="[LABEL=]SPEC", help="A backbone by name; may be repeated.")
@click.option("--suite", "suite_name", default="paper", show_default=True, metavar="NAME", help="Or a YAML file.")
@click.option("--data-root", type=click.Path(path_type=Path), default=Path("data"), help="Default: data.")
@click.option("--data", "single", multiple=True, metavar="NAME=DIR", help="Folder of one data set; may be repeated.")
@click.option("--tasks", multiple=True, metavar="TASK[,TASK]", help="Only these tasks of the suite.")
@click.option("--seeds", type=click.IntRange(1), help="Runs of each job. Default: the suite's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="Devices that share the jobs.")
@click.option(
    "--workers", type=click.IntRange(1), help="Jobs at a time on a device. Default: 1 on a GPU, up to 4 on the CPU."
)
@click.option("--check", type=click.Path(path_type=Path), help="A result store: what the jobs in it really took.")
def plan(
    checkpoints: tuple[str, ...],
    named: tuple[str, ...],
    suite_name: str,
    data_root: Path,
    single: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: int | None,
    device: str,
    gpus: int,
    workers: int | None,
    check: Path | None,
) -> None:
    """Run a few steps of every job here, and tell the device hours and the disk that the full suite would take.

    A data set that is not there counts with its official size, and embedded images stand in for it.
    """
    suite, console = load_suite(suite_name), Console()
    if not checkpoints and not named:
        raise click.UsageError("name a checkpoint, or --backbone SPEC")
    options = Options(
        suite=suite,
        backbones=told_apart([read_name(text, trusted=True) for text in (*checkpoints, *named)]),
        data_root=data_root,
        data=pairs("--data", single, Path),
        out=Path("runs") / component(suite.name),
        tasks=tuple(name for part in tasks for name in part.split(",")),
        seeds=seeds or suite.seeds,
        device=device,
    )
    chosen = pick_device(device)
    at_once = workers or default_workers(str(chosen))
    took = measured_seconds(check) if check else {}
    with console.status("Running a few steps of every job"):
        found = estimates(options, chosen, at_once)
    console.print(_table(found, took))
    for line in _totals(found, took, gpus, at_once, [column.dataset for column in chosen_columns(options)]):
        console.print(line, soft_wrap=True, highlight=False)
    if not any(estimate.seconds for estimate in found):
        raise OptionError("no job could be rehearsed; the table says why")


def _table(found: Sequence[Estimate], took: Mapping[str, float]) -> Table:
    table = Table("job", "time", "features", "checkpoint", *(("took", "took / planned") if took else ()))
    for estimate in found:
        if estimate.problem:
            table.add_row(shown(estimate.title), f"[red]{shown(estimate.problem)}")
            continue
        cells = [
            shown(estimate.title),
            duration(estimate.seconds),
            _size(estimate.features),
            _size(estimate.checkpoint),
        ]
        real = took.get(estimate.title)
        table.add_row(*cells, *([duration(real), f"{real / estimate.seconds:.2f}"] if real else []))
    return table


def _totals(
    found: Sequence[Estimate], took: Mapping[str, float], gpus: int, workers: int, datasets: Sequence[str]
) -> list[str]:
    seconds = [estimate.seconds for estimate in found]
    data = sum(dataset_gigabytes(datasets).values())
    features = sum(estimate.features for estimate in found)
    lines = [
        f"{len(found)} jobs: {sum(seconds) / workers / 3600:.2f} device hours, "
        f"{duration(devices_needed(seconds, gpus * workers))} on {gpus} {'device' if gpus == 1 else 'devices'}",
        f"disk: official data sets {data:.0f} GB, features {_size(features)}, checkpoints while jobs run "
        f"{_size(gpus * workers * max(estimate.checkpoint for estimate in found))}",
    ]
    checked = [estimate for estimate in found if estimate.title in took and estimate.seconds]
    if checked:
        ratios = sorted(took[estimate.title] / estimate.seconds for estimate in checked)
        real, planned = (sum(values) for values in zip(*((took[e.title], e.seconds) for e in checked), strict=True))
        lines.append(
            f"check: {len(checked)} jobs took {duration(real)}, {real / planned:.2f} of the plan; "
            f"a single one {ratios[0]:.2f} to {ratios[-1]:.2f}"
        )
    return lines


def _size(count: float) -> str:
    if not count:
        return "–"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
