"""`distill`: a student of several teachers, from Python. `umt distill` calls it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from umt.console import Console
from umt.distill.ingredients import Sources, choose_recipe
from umt.distill.run import DistillRun, StudentFolder, group_folder, groups, unfinished
from umt.distill.together import check_recipes
from umt.errors import OptionError
from umt.files import component
from umt.options import weights_folder
from umt.training.curves import require_wandb
from umt.training.distributed import init_distributed

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
    check_recipes([choice.recipe for choice in choices])
    run_folder = Path(out or Path("runs/distill") / component(choices[0].recipe.name)).resolve()
    folders = [run_folder / component(choice.recipe.name) if also else run_folder for choice in choices]
    students = [StudentFolder(choice, folder) for choice, folder in zip(choices, folders, strict=True)]
    run = DistillRun(
        console, processes, sources, device, wandb, _path(targets), save_every, parallel, compiled, low_memory
    )
    if dry_run:
        run.estimate(students)
    elif unfinished(students, console):
        run.train(students, run_folder)
    return students[0].checkpoint


def distill_students(
    students: Sequence[Mapping[str, Any]],
    *,
    data_root: Folder,
    trust: Sequence[str] = (),
    device: str = "auto",
    wandb: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> list[Path]:
    """Distil several students, and return the paths of their checkpoints.

    students: of each its `recipe`, `changes` and `out`, as `distill` takes them. On a CPU, those whose recipes allow it
    learn from the same pass of the teachers; the memory of a GPU may hold one alone. Finished students are not trained
    again, and interrupted trainings go on. Raises UMTError.
    """
    if wandb:
        require_wandb()
    processes = init_distributed()
    console = Console(quiet=quiet or not processes.main)
    sources = Sources(Path(data_root), {}, None, weights_folder(None))
    folders = [
        StudentFolder(
            choose_recipe(student["recipe"], tuple(student["changes"]), sources.weights, trust, console.print),
            Path(student["out"]).resolve(),
        )
        for student in students
    ]
    run = DistillRun(console, processes, sources, device, wandb)
    to_train = folders if dry_run else unfinished(folders, console)
    for group in groups(to_train, run.device):
        if dry_run:
            run.estimate(group)
        else:
            run.train(group, group_folder(group))
    return [folder.checkpoint for folder in folders]


def _path(folder: Folder | None) -> Path | None:
    return None if folder is None else Path(folder)


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return several texts, also if one was given by itself."""
    return (texts,) if isinstance(texts, str) else tuple(texts)
