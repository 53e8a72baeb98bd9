"""`umt data`: list data sets, prepare and verify them, and write the embedded one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.progress import Progress
from rich.table import Column, Table

from umt import options
from umt.console import Console, shown
from umt.data.checks.record import read_record
from umt.data.contract import DatasetInfo
from umt.data.registry import dataset_info, dataset_names
from umt.errors import UMTError
from umt.files import writable_folder
from umt.text import printable

EPILOG = """\b
Examples:
  umt data list --data-root /data
  umt data prepare cub --data-root /data      download, check, extract
  umt data prepare imagenet --data-root /data --from /downloads
  umt data prepare nyuv2 --data-root /data --from nyu_depth_v2_labeled.mat
  umt data verify cub --data-root /data
  umt data mini --out data/mini
"""
NAME = click.argument("name")


@click.group(cls=options.CommandGroup, epilog=EPILOG)
def data() -> None:
    """List, prepare and verify data sets; write the embedded mini data."""


@data.command("list", epilog=EPILOG)
@options.data_root()
def list_datasets(data_root: Path | None) -> None:
    """Print every data set: its folder below the data root, its official size, its source, and its state."""
    for info in map(dataset_info, dataset_names()):
        classes = f", {info.classes} classes" if info.classes else ""
        click.echo(f"{info.name}: {info.title} ({info.kind}{classes})")
        click.echo(f"  folder  {info.folder}")
        click.echo(f"  items   {_sizes(info.splits)}")
        if data_root:
            click.echo(f"  state   {printable(_state(info, data_root))}")
        click.echo(f"  source  {info.source}\n")


@data.command(epilog=EPILOG)
@NAME
@click.option(
    "--from",
    "origin",
    type=click.Path(path_type=Path),
    help="Official archive, or a folder of archives or of the official layout. Default: download.",
)
@options.data_root(required=True)
def prepare(name: str, origin: Path | None, data_root: Path) -> None:
    """Build the official folders of data set NAME below the data root; folders that exist are left alone.

    --from takes an official archive (with the files that belong to it beside it), a folder of them, or a folder that is
    already in the official layout, which is copied. Without it the archive is downloaded if that is possible, and an
    interrupted download goes on. Archives are extracted without trust: no path outside, no links, limited sizes.
    """
    writable_folder(data_root, "--data-root")
    from umt.data.prepare import prepare as run  # brings torch and scipy

    with _progress() as progress:
        outcomes = run(name, data_root, origin, progress)
    for outcome in outcomes:
        origins = f"made from {', '.join(outcome.origin)}" if outcome.origin else "was there already"
        click.echo(printable(f"{outcome.folder}: {_sizes(outcome.sizes)}; {origins}"))
    click.echo(printable(f"next: umt data verify {name} --data-root {data_root}"))


@data.command(epilog=EPILOG)
@NAME
@options.data_root(required=True)
def verify(name: str, data_root: Path) -> None:
    """Check data set NAME: counts, classes, labels; a sample is decoded and compared with its last verification.

    Prints one line for each problem, with its remedy, and then exits with status 1.
    """
    from umt.data.checks.verify import verify as run  # decodes images: brings torch

    with _progress() as progress:
        report = run(name, data_root, progress)
    for problem in report.problems:
        click.echo(printable(f"wrong: {problem}"))
    if report.problems:
        raise click.exceptions.Exit(1)
    click.echo(printable(f"{report.title}: {_sizes(report.sizes)}; nothing wrong"))


@data.command(epilog=EPILOG)
@options.out(required=True)
def mini(out: Path) -> None:
    """Write the embedded data below OUT, in the official layouts, from photographs in pip packages and a renderer."""
    from umt.data.mini import mini_versions, write_set  # not needed to list

    table = Table(Column("folder", overflow="fold"), "what it is", "real", "rendered")
    with Progress(console=Console(), transient=True) as progress:
        for name, version in progress.track(mini_versions().items(), description="mini data"):
            folder = write_set(name, out)
            table.add_row(shown(folder), version.title, version.real or "-", version.rendered or "-")
    Console().print(table)


def _progress() -> Progress:
    """Return progress bars for people; in a log, rich would leave an empty line."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _sizes(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {size:,}" for split, size in splits.items())


def _state(info: DatasetInfo, data_root: Path) -> str:
    """Return the state of a data set from its record, without a look at a million files."""
    if not (data_root / info.folder).is_dir():
        return "not there"
    try:
        record = read_record(data_root, info.name)
    except UMTError as error:
        return str(error)
    prepared_files = [f"{target} from {', '.join(files)}" for target, files in record.prepared.items()]
    verified = f"verified {record.verified}: {record.title}" if record.verified else "not verified"
    return "; ".join(["there", *prepared_files, verified])
