"""`umt distill`: train a student from several teachers and write its checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import torch
from rich.table import Table

from umt.console import Console, shown
from umt.distill.console import TrainingBar
from umt.distill.cost import Part, cost_table
from umt.distill.images import Skipped, ViewImages
from umt.distill.options import Prepared, Sources, choose_recipe, prepare, recipe_options
from umt.distill.recipe import load_recipe, recipe_names
from umt.distill.spaces import SpaceShape
from umt.distill.train import STUDENT_FILE, Ingredients, Running, claim_folder, distill, estimate
from umt.durations import duration
from umt.files import component
from umt.training.device import pick_device
from umt.training.distributed import Processes, join
from umt.training.engine import Place

EPILOG = """\b
Examples:
  umt distill --recipe mini-cnn-pypi --images photos
  umt distill --recipe resnet50 --data-root /data --weights /weights
  umt distill --recipe resnet50 --set interaction.cross_space=false --out runs/no-cross-space
  torchrun --nproc-per-node 8 --no-python umt distill --recipe vit-b --data-root /data
"""


@click.command("distill", epilog=EPILOG)
@recipe_options
@click.option("--out", type=click.Path(path_type=Path), help="Checkpoint and logs. Default: runs/distill/RECIPE.")
@click.option("--cache", type=click.Path(path_type=Path), help="Targets that `umt teachers cache` made.")
@click.option("--save-every", default=1000, show_default=True, help="Optimiser steps between saves to resume from.")
@click.option(
    "--logger", "loggers", multiple=True, default=("tensorboard",), show_default=True, help="tensorboard or wandb."
)
@click.option("--parallel", type=click.Choice(["ddp", "fsdp"]), default="ddp", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Use torch.compile; the first step takes a minute or more.")
@click.option("--dry-run", is_flag=True, help="Print what it would cost and how long it would take; train nothing.")
def distill_command(
    recipe_name: str,
    changes: tuple[str, ...],
    data_root: Path,
    single: tuple[str, ...],
    images: Path | None,
    weights: Path | None,
    trust: tuple[str, ...],
    device: str,
    out: Path | None,
    cache: Path | None,
    save_every: int,
    loggers: tuple[str, ...],
    parallel: str,
    compiled: bool,
    dry_run: bool,
) -> None:
    """Distil several teachers into one student, and write OUT/student.pth.

    To continue an interrupted run, type the same command again. Evaluate the result with
    `umt run OUT/student.pth`, and its heads with `umt run OUT/student.pth#SPACE`.
    """
    processes = join()
    console = Console(quiet=not processes.main)
    sources = Sources.of(data_root, single, images, weights)
    chosen = choose_recipe(recipe_name, changes, sources.weights, trust, console.print)
    recipe = chosen.recipe
    out = (out or Path("runs/distill") / component(recipe.name)).resolve()
    if not dry_run and claim_folder(out, recipe):
        console.print(f"{shown(out / STUDENT_FILE)} is complete; nothing to do")
        return
    with console.status("Building student and teachers, looking at the images"):
        prepared = prepare(chosen, sources)
        ingredients = _ingredients(prepared, out, cache)
    announce = _announcer(console, prepared, processes)
    if dry_run:
        estimate(recipe, ingredients, _device(device, processes), announce)
        return
    with TrainingBar(console, recipe.name, processes.main) as bar:
        place = Place(_device(device, processes), out, recipe.seed, bar.report)
        running = Running(place, save_every, loggers, parallel, compiled, processes.main)
        path = distill(recipe, ingredients, running, announce)
    console.print(f"wrote {shown(path)}; evaluate it with: umt run {shown(path)}")


@click.command(epilog="\b\nExample:\n  umt recipes\n")
def recipes() -> None:
    """List the recipes that `umt distill` knows by name."""
    table = Table("recipe", "about")
    for name in recipe_names():
        table.add_row(shown(name), shown(load_recipe(name).about))
    Console().print(table)


def _ingredients(prepared: Prepared, out: Path, cache: Path | None) -> Ingredients:
    """Return views with targets from a cache, or views and the teachers that give the targets."""
    recipe, skipped = prepared.recipe, Skipped(out / "skipped.txt", len(prepared.images))
    data = {
        "images": len(prepared.images),
        "fingerprint": prepared.images.fingerprint,
        "origin": prepared.images.origin,
    }
    if cache:
        from umt.distill.cache import open_cache

        cached = open_cache(cache, prepared, skipped)
        return Ingredients(prepared.student, (), cached.shapes, cached, {**data, "views": cached.visits})
    teachers = prepared.teachers()
    shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
    views = ViewImages(prepared.images, recipe.views, recipe.seed, skipped)
    return Ingredients(prepared.student, teachers, shapes, views, data)


def _announcer(console: Console, prepared: Prepared, processes: Processes) -> Callable[[list[Part], float], None]:
    """Return a function that prints the cost of the distillation."""
    recipe = prepared.recipe

    def announce(parts: list[Part], seconds: float) -> None:
        console.print(cost_table(parts))
        steps, images = recipe.training.steps(len(prepared.images)), len(prepared.images)
        console.print(
            f"{images} images, {steps} steps of {recipe.training.batch}, about {duration(seconds / processes.world)}"
        )

    return announce


def _device(name: str, processes: Processes) -> torch.device:
    """Return the device; each process of a launch has the GPU of its local rank."""
    device = pick_device(name)
    return torch.device("cuda", processes.local_rank) if device.type == "cuda" and processes.world > 1 else device
