"""`umt teachers cache|check`: store what a recipe's teachers ask for; see whether they are all there."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from umt.distill.cache import Manifest
from umt.distill.cache_writer import Size, check_room, estimate, fill, plan_cache
from umt.distill.console import TrainingBar
from umt.distill.images import Skipped, ViewImages
from umt.distill.options import Sources, choose_recipe, prepare, recipe_options
from umt.distill.recipe import load_recipe, missing_weights
from umt.distill.student import build_student, grid_of
from umt.distill.teachers import load_teacher
from umt.errors import UMTError
from umt.training.device import pick_device


@click.group()
def teachers() -> None:
    """Check a recipe's teachers; store their targets, so that training runs without them."""


@teachers.command()
@recipe_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the cache.")
@click.option("--views", "visits", type=click.IntRange(1), default=4, show_default=True, help="Views of each image.")
@click.option("--pixels", is_flag=True, help="Store the views themselves, too: training decodes no image then.")
@click.option("--shard", default=4096, show_default=True, help="Views in a file; an interruption costs one file.")
@click.option("--batch", default=64, show_default=True, help="Views in a forward.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def cache(
    recipe_name: str,
    changes: tuple[str, ...],
    data_root: Path,
    single: tuple[str, ...],
    images: Path | None,
    weights: Path | None,
    device: str,
    out: Path,
    visits: int,
    pixels: bool,
    shard: int,
    batch: int,
    yes: bool,
) -> None:
    """Store the targets of some views of every image; `umt distill --cache OUT` then needs no teacher.

    Each view is stored as it was drawn, so that the student sees exactly what the teachers saw. Started again, it goes
    on with the files that are missing.
    """
    console = Console()
    sources = Sources.of(data_root, single, images, weights)
    recipe = choose_recipe(recipe_name, changes, sources.weights, console.print)
    with console.status("Building teachers, looking at the images"):
        prepared = prepare(recipe, sources)
        built = prepared.teachers()
        manifest = plan_cache(prepared, built, out, visits, shard, pixels)
    size = estimate(manifest, built, recipe.views.size, prepared.grid)
    _confirm(console, manifest, size, check_room(out, size), yes)
    out.mkdir(parents=True, exist_ok=True)
    views = ViewImages(prepared.images, recipe.views, manifest.seed, Skipped(out / "skipped.txt", len(prepared.images)))
    with TrainingBar(console, "cache") as bar:
        fill(
            prepared,
            built,
            manifest,
            views,
            out,
            pick_device(device),
            batch,
            lambda done, all_: bar.report(done, all_, "views"),
        )
    console.print(f"wrote {out}; train with: umt distill --recipe {recipe_name} --cache {out}")


@teachers.command()
@click.option("--recipe", "recipe_name", required=True, metavar="NAME|FILE")
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder of weight files.")
def check(recipe_name: str, changes: tuple[str, ...], weights: Path | None) -> None:
    """Build each teacher of a recipe and say what it gives; exit status 1 where one cannot be built."""
    recipe = load_recipe(recipe_name, changes)
    folder = Sources.of(Path(), (), None, weights).weights
    absent = {line.split("'")[1]: line for line in missing_weights(recipe, folder)}
    grid = grid_of(build_student(recipe), recipe.views.size)
    table, failed = Table("teacher", "kind", "backbone", "input", "widths", "parameters"), list(absent.values())
    for spec in recipe.teachers:
        if spec.name in absent:
            continue
        try:
            teacher = load_teacher(spec, folder, recipe.views.size, grid)
        except UMTError as error:
            failed.append(f"teacher '{spec.name}': {error}")
            continue
        parameters = sum(value.numel() for value in teacher.backbone.parameters())
        widths = " and ".join(map(str, teacher.widths()))
        table.add_row(spec.name, spec.kind, spec.backbone, f"{teacher.size} px", widths, f"{parameters / 1e6:.1f} M")
    Console().print(table)
    for line in failed:
        click.echo(f"umt: {line}", err=True)
    sys.exit(1 if failed else 0)


def _confirm(console: Console, manifest: Manifest, size: Size, free: int, yes: bool) -> None:
    """Say what it takes, and ask."""
    for part, taken in size.parts.items():
        console.print(f"  {part}: {taken / 1e9:.3f} GB")
    console.print(f"{manifest.items()} views take {size.total / 1e9:.2f} GB; {free / 1e9:.0f} GB are free")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UMTError("nobody is there to agree to this size; add --yes")
    click.confirm("Go on?", abort=True)
