"""`distill`: a student of several teachers, from Python. `umt distill` calls it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch

from umt.console import Console, print_whole, shown
from umt.distill import train
from umt.distill.cost import CostPart, cost_table
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared, Sources, choose_recipe, prepare
from umt.distill.progress import TrainingBar
from umt.distill.recipe import DistillRecipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.together import Learner, check_recipes, distill_together
from umt.distill.train import STUDENT_FILE, Announce, Ingredients, RunSettings, claim_folder, estimate
from umt.errors import OptionError
from umt.files import component
from umt.options import weights_folder
from umt.text import duration
from umt.training.curves import require_wandb
from umt.training.device import pick_device
from umt.training.distributed import Processes, init_distributed
from umt.training.engine import RunContext

Folder: TypeAlias = "str | os.PathLike[str]"


def distill(
    recipe: Folder,
    *,
    also: Sequence[str] = (),
    images: Folder | None = None,
    data_root: Folder | None = None,
    data: Mapping[str, Folder] | None = None,
    out: Folder | None = None,
    changes: Sequence[str] = (),
    weights: Folder | None = None,
    trust: Sequence[str] = (),
    device: str = "auto",
    targets: Folder | None = None,
    save_every: int = 1000,
    wandb: bool = False,
    parallel: str = "ddp",
    compiled: bool = False,
    low_memory: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> Path:
    """Distil the teachers of a recipe into one student, and return the path of its checkpoint, OUT/student.pth.

    recipe: a shipped one (`umt recipes`) or a YAML file. images: a folder whose images are taken instead of the
    recipe's data sets below `data_root` (default: data). changes: fields of the recipe, `training.batch=256`. trust:
    recipe files that may run code. quiet: print nothing. The other arguments are the options of `umt distill`.

    also: more recipes, whose students learn from the same pass of the teachers; then each has a folder OUT/RECIPE, and
    the first one's checkpoint is returned.

    A finished student is not trained again, and an interrupted training goes on. Raises UMTError.
    """
    if wandb:
        require_wandb()
    processes = init_distributed()
    console = Console(quiet=quiet or not processes.main)
    data_folders = {name: Path(folder) for name, folder in (data or {}).items()}
    sources = Sources(Path(data_root or "data"), data_folders, _path(images), weights_folder(_path(weights)))
    if also and targets:
        raise OptionError("--targets with --also: stored targets need no teachers; distil the recipes one by one")
    choices = [
        choose_recipe(name, _texts(changes), sources.weights, _texts(trust), console.print)
        for name in (os.fspath(recipe), *_texts(also))
    ]
    recipes = [choice.recipe for choice in choices]
    check_recipes(recipes)
    run_folder = Path(out or Path("runs/distill") / component(recipes[0].name)).resolve()
    folders = [run_folder / component(item.name) if also else run_folder for item in recipes]
    if not dry_run and _claimed(folders, recipes, console):
        return folders[0] / STUDENT_FILE
    with console.status("Building students and teachers, looking at the images"):
        prepared = [prepare(choice, sources) for choice in choices]
        learners = _learners(prepared, folders, _path(targets))
    announce = _announcer(console, prepared[0], processes)
    if dry_run:
        for learner in learners:
            estimate(learner.recipe, learner.ingredients, _device(device, processes), announce)
        return folders[0] / STUDENT_FILE
    with TrainingBar(console, ", ".join(item.name for item in recipes), processes.main) as bar:
        context = RunContext(_device(device, processes), run_folder, recipes[0].seed, bar.report, wandb)
        settings = RunSettings(context, save_every, parallel, compiled, low_memory, processes.main)
        paths = _train(learners, settings, announce)
    for path in paths:
        print_whole(console, f"wrote {shown(path)}; evaluate it with: umt run {shown(path)}")
    return paths[0]


def _train(learners: Sequence[Learner], settings: RunSettings, announce: Announce) -> list[Path]:
    if len(learners) > 1:
        return distill_together(learners, settings, announce)
    return [train.distill(learners[0].recipe, learners[0].ingredients, settings, announce)]


def _claimed(folders: Sequence[Path], recipes: Sequence[DistillRecipe], console: Console) -> bool:
    """Make each folder its recipe's; return true, and say so, if all students are finished."""
    finished = [claim_folder(folder, recipe) for folder, recipe in zip(folders, recipes, strict=True)]
    if not all(finished):
        return False
    for folder in folders:
        print_whole(console, f"{shown(folder / STUDENT_FILE)} is complete; nothing to do")
    return True


def _path(folder: Folder | None) -> Path | None:
    return None if folder is None else Path(folder)


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return several texts, also if one was given by itself."""
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _learners(prepared: Sequence[Prepared], folders: Sequence[Path], targets: Path | None) -> list[Learner]:
    """Return recipes with their objects; the teachers of all share their backbones, which are loaded once."""
    first = _ingredients(prepared[0], folders[0], targets)
    learners = [Learner(prepared[0].recipe, first, folders[0])]
    for later, folder in zip(prepared[1:], folders[1:], strict=True):
        teachers = later.teachers_beside(first.teachers)
        shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
        ingredients = replace(first, student=later.student, teachers=teachers, shapes=shapes)
        learners.append(Learner(later.recipe, ingredients, folder))
    return learners


def _ingredients(prepared: Prepared, out: Path, targets: Path | None) -> Ingredients:
    """Return views with stored targets, or views and the teachers that give them."""
    recipe, skipped = prepared.recipe, Skipped(out / "skipped.txt", len(prepared.images))
    data: dict[str, Any] = {
        "images": len(prepared.images),
        "fingerprint": prepared.images.fingerprint,
        "origin": prepared.images.origin,
    }
    if targets:
        from umt.distill.cache.cache import open_cache

        cached = open_cache(targets, prepared, skipped)
        data |= {"views": cached.visits, "targets": cached.manifest.format}
        return Ingredients(prepared.student, (), cached.shapes, cached, data)
    teachers = prepared.teachers()
    shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
    views = ViewImages(prepared.images, recipe.views, recipe.seed, skipped)
    return Ingredients(prepared.student, teachers, shapes, views, data)


def _announcer(console: Console, prepared: Prepared, processes: Processes) -> Announce:
    """Return a function that prints the cost of the distillation."""
    recipe = prepared.recipe

    def announce(parts: list[CostPart], seconds: float) -> None:
        console.print(cost_table(parts))
        steps, images = recipe.training.steps(len(prepared.images)), len(prepared.images)
        console.print(
            f"{images} images, {steps} steps of {recipe.training.batch}, about {duration(seconds / processes.world)}"
        )

    return announce


def _device(name: str, processes: Processes) -> torch.device:
    """Each process of a launch has the GPU of its local rank."""
    device = pick_device(name)
    return torch.device("cuda", processes.local_rank) if device.type == "cuda" and processes.world > 1 else device
