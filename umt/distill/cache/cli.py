"""`umt teachers cache|check`: store the targets of a recipe's teachers; check that all teachers can be built."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click
from rich.table import Table

from umt import options
from umt.console import Console, shown, warn_old_option
from umt.distill.cache.cache import FORMATS, Manifest
from umt.distill.cache.writer import Size, check_room, fill, plan_cache, size_of_view
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import (
    CHANGES,
    RECIPE,
    RecipeChoice,
    Sources,
    build_student,
    choose_recipe,
    grid_of,
    prepare,
    recipe_options,
)
from umt.distill.progress import TrainingBar
from umt.distill.recipe import missing_weights
from umt.distill.teachers.teacher import Teacher, load_teacher
from umt.errors import OptionError, UMTError
from umt.files import free_bytes
from umt.options import weights_folder
from umt.text import duration, printable
from umt.training.device import pick_device

EPILOG = """\b
Examples:
  umt teachers check --recipe resnet50 --weights /weights
  umt teachers cache --recipe vit-b --data-root /data --views 4 --out cache
  umt teachers cache --recipe mini-cnn-pypi --images photos --out cache --yes
"""


@click.group(cls=options.CommandGroup, epilog=EPILOG)
def teachers() -> None:
    """Check a recipe's teachers; store their targets, so that training runs without them."""


@teachers.command(epilog=EPILOG)
@recipe_options
@options.out(required=True)
@click.option(
    "--views", "visits", type=click.IntRange(1), default=4, show_default=True, help="Views to store of each image."
)
@click.option("--pixels", is_flag=True, help="Store the views themselves, too: training decodes no image then.")
@click.option(
    "--format",
    "stored_as",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="pca: principal components in 1 to 8 bits, a sixth of the space; its error is printed.",
)
@click.option(
    "--shard",
    type=click.IntRange(1),
    help="Views in a file; an interruption loses one file. Default: as many as take 256 MB.",
)
@options.batch_size(64)
@click.option("--batch", type=click.IntRange(1), hidden=True)
@options.YES
def cache(
    recipe_name: str,
    changes: tuple[str, ...],
    data_root: Path | None,
    data: Mapping[str, Path],
    images: Path | None,
    weights: Path | None,
    trust: tuple[str, ...],
    device: str,
    out: Path,
    visits: int,
    pixels: bool,
    stored_as: str,
    shard: int | None,
    batch_size: int,
    batch: int | None,
    yes: bool,
) -> None:
    """Store the targets of some views of every image; `umt distill --targets OUT` then runs no teacher.

    Each view is stored as it was drawn, so that the student sees exactly what the teachers saw. Started again, it goes
    on with the files that are missing. A recipe with fewer of the teachers can use the cache, too.
    """
    if batch:
        warn_old_option("--batch", "take --batch-size")
    console = Console()
    sources = Sources(data_root or Path("data"), data, images, weights_folder(weights))
    choice = choose_recipe(recipe_name, changes, sources.weights, trust, console.print)
    recipe = choice.recipe
    with console.status("Building teachers, looking at the images"):
        prepared = prepare(choice, sources)
        built = prepared.teachers()
        view_size = size_of_view(built, recipe.views.size if pixels else None, stored_as)
        manifest = plan_cache(prepared, built, out, visits, shard or view_size.shard(), pixels, stored_as)
    if manifest.missing(out):
        _agree(console, out, manifest, view_size.times(manifest.items()), yes)
        skipped = Skipped(out / "skipped.txt", len(prepared.images))
        views = ViewImages(prepared.images, recipe.views, manifest.seed, skipped)
        with TrainingBar(console, "cache") as bar:
            fill(prepared, built, manifest, views, out, pick_device(device), batch or batch_size, _Pace(bar))
    _tell_errors(console, Manifest.read(out))
    console.print(
        f"{shown(out)} is complete; train with the same options and --targets: umt distill ... --targets {shown(out)}",
        soft_wrap=True,
    )


@teachers.command(epilog=EPILOG)
@RECIPE
@CHANGES
@options.WEIGHTS
@options.TRUST
def check(recipe_name: str, changes: tuple[str, ...], weights: Path | None, trust: tuple[str, ...]) -> None:
    """Build each teacher of a recipe and print its output; exit status 1 if a teacher cannot be built."""
    choice, folder = RecipeChoice.of(recipe_name, changes, trust), weights_folder(weights)
    recipe = choice.recipe
    student = build_student(recipe, trusted=choice.trusted)
    table = Table("teacher", "objective", "backbone", "input", "widths", "parameters", "weights")
    failed = missing_weights(recipe, folder)
    for spec in recipe.teachers:
        if spec.weights and not (folder / spec.weights).is_file():
            continue
        try:
            grid = grid_of(student, recipe.views.size, recipe.interaction.map_of(spec.name))
            table.add_row(
                *map(shown, _row(load_teacher(spec, folder, recipe.views.size, grid, trusted=choice.trusted)))
            )
        except UMTError as error:
            failed.append(f"teacher '{spec.name}': {error.coded}")
    Console().print(table)
    for line in failed:
        click.echo(f"umt: {printable(line)}", err=True)
    sys.exit(1 if failed else 0)


def _row(teacher: Teacher) -> tuple[str, ...]:
    spec = teacher.spec
    parameters = sum(value.numel() for value in teacher.backbone.parameters())
    widths = " and ".join(map(str, teacher.widths()))
    size, count = f"{teacher.size} px", f"{parameters / 1e6:.1f} M"
    return spec.name, spec.objective, spec.backbone, size, widths, count, spec.weights or "by name"


def _agree(console: Console, out: Path, manifest: Manifest, size: Size, yes: bool) -> None:
    """Print the size of the cache, and ask for consent; UMTError if there is no room, or nobody to ask."""
    for part, part_bytes in size.parts.items():
        console.print(f"  {shown(part)}: {part_bytes / 1e9:.3f} GB")
    existing = manifest.shards() - len(manifest.missing(out))
    console.print(
        f"{manifest.items()} views take {size.total / 1e9:.3f} GB ({size.total} bytes) in {manifest.shards()} files, "
        f"{existing} of them there; {free_bytes(out) / 1e9:.0f} GB are free",
        soft_wrap=True,
    )
    check_room(out, size)
    if yes:
        return
    if not _attended():
        raise OptionError("no terminal to ask on; add --yes to agree to this size")
    click.confirm("Go on?", abort=True)


def _tell_errors(console: Console, manifest: Manifest) -> None:
    """Print what was lost by fitted components, if any were."""
    for name, error in manifest.pca.errors.items() if manifest.pca else ():
        console.print(
            f"  {shown(name)}: squared error {error:.1%} of its variance, on views that nothing was fitted on"
        )


def _attended() -> bool:
    """Return true if a person can answer."""
    return sys.stdin.isatty()


class _Pace:
    """A report of the speed in a bar, from the first batch on, and the time to the end."""

    def __init__(self, bar: TrainingBar) -> None:
        self.bar = bar
        self.first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        started, before = self.first = self.first or (now, done)
        rate = (done - before) / max(now - started, 1e-9)
        remaining = f", {duration((total - done) / rate)} left" if rate else ""
        self.bar.report(done, total, f"{rate:.0f} img/s{remaining}")
