"""`umt distill`: train a student from several teachers and write its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from umt import options
from umt.console import Console, shown, warn_old_option
from umt.distill.api import distill
from umt.distill.ingredients import recipe_options
from umt.distill.recipe import load_recipe, recipe_names

EPILOG = """\b
Examples:
  umt distill --recipe mini-cnn-pypi --images photos
  umt distill --recipe resnet50 --data-root /data --weights /weights
  umt distill --recipe resnet50 --set interaction.cross_space=false
  umt distill --recipe mini-cnn --also mini-vit --images photos
  torchrun --nproc-per-node 8 --no-python umt distill --recipe vit-b
"""


@click.command("distill", epilog=EPILOG)
@recipe_options
@click.option(
    "--also",
    multiple=True,
    metavar="NAME|FILE",
    help="Another recipe, whose student learns from the same pass of the teachers, each into OUT/RECIPE; repeatable.",
)
@options.out("runs/distill/RECIPE")
@click.option(
    "--targets", type=options.FOLDER, help="Folder of targets that `umt teachers cache` stored; no teacher runs then."
)
@click.option("--cache", type=click.Path(path_type=Path), hidden=True)
@click.option("--save-every", default=1000, show_default=True, help="Optimiser steps between saves to resume from.")
@options.WANDB
@click.option("--logger", "loggers", multiple=True, type=click.Choice(["tensorboard", "wandb"]), hidden=True)
@click.option(
    "--parallel",
    type=click.Choice(["ddp", "fsdp"]),
    default="ddp",
    show_default=True,
    help="With several processes: each holds the whole model, or a shard of it.",
)
@options.COMPILE
@click.option("--low-memory", is_flag=True, help="Compute the spaces twice, a quarter of a batch at a time.")
@options.DRY_RUN
def distill_command(recipe_name: str, loggers: tuple[str, ...], cache: Path | None, **values: Any) -> None:
    """Distil several teachers into one student, and write OUT/student.pth.

    --dry-run prints the cost and the time. To continue an interrupted run, type the same command again. Evaluate the
    result with `umt run OUT/student.pth`, single heads with `umt run OUT/student.pth#HEAD`.
    """
    if loggers:
        warn_old_option("--logger", "TensorBoard is always written, and --wandb adds Weights & Biases")
    if cache:
        warn_old_option("--cache", "take --targets")
    values |= {"wandb": values["wandb"] or "wandb" in loggers, "targets": values["targets"] or cache}
    distill(recipe_name, **values)


@click.command(epilog="\b\nExample:\n  umt recipes\n")
def recipes() -> None:
    """List the recipes that `umt distill` knows by name."""
    table = Table("recipe", "about")
    for name in recipe_names():
        table.add_row(shown(name), shown(load_recipe(name).about))
    Console().print(table)
