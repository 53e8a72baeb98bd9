"""What `umt distill` and `umt teachers` have in common: their options, and what these turn into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from umt.backbones.contract import Backbone
from umt.console import shown
from umt.data.image_list import ImageList, find_images
from umt.distill.images import training_images
from umt.distill.recipe import DistillRecipe, load_recipe, missing_weights, weights_folder
from umt.distill.spaces import Grid
from umt.distill.student import build_student, grid_of
from umt.distill.teachers import Teacher, load_teacher
from umt.errors import MissingFileError, OptionError

Command = TypeVar("Command", bound=Callable[..., Any])
Say = Callable[[str], None]  # takes markup

FOLDER = click.Path(path_type=Path, file_okay=False)
RECIPE = click.option(
    "--recipe",
    "recipe_name",
    required=True,
    metavar="NAME|FILE",
    help="A shipped recipe (`umt recipes`) or a YAML file.",
)
CHANGES = click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change a field, e.g. training.batch=256."
)
WEIGHTS = click.option("--weights", type=FOLDER, help="Folder of weight files. Default: $UMT_WEIGHTS, else weights.")
OPTIONS = (
    RECIPE,
    CHANGES,
    click.option(
        "--data-root",
        type=FOLDER,
        default=Path("data"),
        show_default=True,
        help="Folder of the data sets in their official layouts.",
    ),
    click.option(
        "--data", "single", multiple=True, metavar="NAME=DIR", help="Folder of one data set; may be repeated."
    ),
    click.option("--images", type=FOLDER, help="Take all images below this folder instead of the recipe's data sets."),
    WEIGHTS,
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
)


def recipe_options(command: Command) -> Command:
    """Add the common options to a click command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Sources:
    """Where data and weights are looked for."""

    data_root: Path
    data: Mapping[str, Path]
    images: Path | None
    weights: Path

    @classmethod
    def of(cls, data_root: Path, single: tuple[str, ...], images: Path | None, weights: Path | None) -> Sources:
        """From the values of the options."""
        pairs = [text.partition("=") for text in single]
        for text, (_, found, _) in zip(single, pairs, strict=True):
            if not found:
                raise OptionError(f"--data {text}: write it as NAME=DIR")
        return cls(data_root, {name: Path(folder) for name, _, folder in pairs}, images, weights_folder(weights))


@dataclass(frozen=True)
class Prepared:
    """A recipe whose names have been looked up; the teachers are built when they are needed."""

    recipe: DistillRecipe
    images: ImageList
    student: Backbone
    grid: Grid
    weights: Path

    def teachers(self) -> list[Teacher]:
        """All teachers with their weights."""
        size = self.recipe.views.size
        return [load_teacher(spec, self.weights, size, self.grid) for spec in self.recipe.teachers]


def choose_recipe(name: str, changes: tuple[str, ...], weights: Path, say: Say) -> DistillRecipe:
    """The named recipe, or the one that it gives for the case that its weight files are not there."""
    recipe = load_recipe(name, changes)
    missing = missing_weights(recipe, weights)
    if missing and recipe.otherwise:
        say(f"{shown(missing[0])}\ntaking recipe {shown(recipe.otherwise)} instead of {shown(recipe.name)}")
        return choose_recipe(recipe.otherwise, changes, weights, say)
    if missing:
        raise MissingFileError("; ".join(missing))
    return recipe


def prepare(recipe: DistillRecipe, sources: Sources) -> Prepared:
    """Find the images and build the student."""
    student = build_student(recipe)
    grid = grid_of(student, recipe.views.size)
    images = (
        find_images(sources.images)
        if sources.images
        else training_images(recipe.datasets, sources.data_root, sources.data)
    )
    return Prepared(recipe, images, student, grid, sources.weights)
