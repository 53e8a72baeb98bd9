"""`umt data`: which data sets there are, where they go, and the small one that the package makes itself."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from umt.data.registry import NAMES, dataset_info


@click.group()
def data() -> None:
    """The data sets and the embedded mini data."""


@data.command("list")
def list_datasets() -> None:
    """Print every data set: its folder below the data root, its official size, and where to get it."""
    for info in map(dataset_info, NAMES):
        classes = f", {info.classes} classes" if info.classes else ""
        click.echo(f"{info.name}: {info.title} ({info.kind}{classes})")
        click.echo(f"  folder  {info.folder}")
        click.echo(f"  items   {', '.join(f'{split} {size:,}' for split, size in info.splits.items())}")
        click.echo(f"  source  {info.source}\n")


@data.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Data root to write.")
def mini(out: Path) -> None:
    """Write the embedded data below OUT, in the official layouts, from photographs in pip packages and a renderer."""
    from umt.data.mini import PARTS, write_part  # slow to import, and not needed to list

    table = Table(Column("folder", overflow="fold"), "what it is", "real", "rendered")
    with Progress(transient=True) as progress:
        for part in progress.track(PARTS, description="mini data"):
            folder = write_part(part, out)
            table.add_row(str(folder), part.title, part.real or "-", part.rendered or "-")
    Console().print(table)
