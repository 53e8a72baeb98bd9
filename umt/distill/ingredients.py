"""The common options of `umt distill` and `umt teachers`, and the objects that are made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from umt import options
from umt.backbones import create_backbone
from umt.backbones.checkpoint import plain_name, refuse_unstorable
from umt.backbones.contract import Backbone
from umt.backbones.spec import parse_spec
from umt.backbones.trust import HUB_SCHEMES, is_trusted, runs_code
from umt.console import shown
from umt.data.image_list import ImageList, find_images
from umt.distill.images import training_images
from umt.distill.recipe import (
    DistillRecipe,
    load_recipe,
    missing_weights,
    other_recipe,
    recipe_path,
)
from umt.distill.spaces.shapes import Grid, check_map, check_size
from umt.distill.teachers.teacher import Teacher, load_teacher
from umt.errors import DeclarationError, MissingFileError

Announce = Callable[[str], None]  # takes rich markup

RECIPE = click.option(
    "--recipe",
    "recipe_name",
    required=True,
    metavar="NAME|FILE",
    help="A shipped recipe (`umt recipes`) or a YAML file.",
)
CHANGES = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the recipe, e.g. training.batch=256; may be repeated.",
)
recipe_options = options.options(
    RECIPE,
    CHANGES,
    options.data_root("data"),
    options.DATA,
    options.IMAGES,
    options.WEIGHTS,
    options.TRUST,
    options.DEVICE,
)


@dataclass(frozen=True)
class Sources:
    """Folders of data sets, images and weights."""

    data_root: Path
    data: Mapping[str, Path]
    images: Path | None
    weights: Path


@dataclass(frozen=True)
class Prepared:
    """A recipe whose names have been looked up; the teachers are built when they are needed."""

    recipe: DistillRecipe
    images: ImageList
    student: Backbone
    weights: Path
    trusted: bool = False  # true if the recipe may run code

    def teachers(self) -> list[Teacher]:
        """Load all teachers with their weights."""
        recipe = self.recipe
        return [
            load_teacher(spec, self.weights, recipe.views.size, grid, trusted=self.trusted)
            for spec, grid in zip(recipe.teachers, self.grids(), strict=True)
        ]

    def teachers_beside(self, teachers: Sequence[Teacher]) -> list[Teacher]:
        """Return this recipe's teachers with the backbones of another one's, which has the same in any order."""
        by_name, size = {teacher.name: teacher for teacher in teachers}, self.recipe.views.size
        pairs = zip(self.recipe.teachers, self.grids(), strict=True)
        return [by_name[spec.name].beside(spec, size, grid) for spec, grid in pairs]

    def grids(self) -> list[Grid]:
        """Return rows and columns of the student's map that each teacher meets."""
        recipe = self.recipe
        return [
            grid_of(self.student, recipe.views.size, recipe.interaction.map_of(spec.name)) for spec in recipe.teachers
        ]


@dataclass(frozen=True)
class RecipeChoice:
    """A recipe, `trusted` if a backbone in it may run code: typed by the user, or named in a trusted file."""

    recipe: DistillRecipe
    trusted: bool

    @classmethod
    def of(cls, name: str, changes: Sequence[str], trust: Sequence[str]) -> RecipeChoice:
        """Load a recipe. Without trust in its file, only `changes` can have brought a name that runs code."""
        trusted = is_trusted(name, trust)
        return cls(load_recipe(name, changes, trusted=trusted), trusted or bool(changes))


def choose_recipe(
    name: str, changes: tuple[str, ...], weights: Path, trust: Sequence[str], announce: Announce
) -> RecipeChoice:
    """Load the named recipe, or the one that it names for the case that its weight files are missing.

    Raises UMTError if a weight file of the last recipe is missing, or if the recipes name each other in a circle.
    """
    visited_paths: list[str] = []
    while True:
        choice = RecipeChoice.of(name, changes, trust)
        recipe = choice.recipe
        missing = missing_weights(recipe, weights)
        if not missing:
            _tell_code(choice, announce)
            return choice
        visited_paths.append(str(recipe_path(name).resolve()))
        if not recipe.otherwise:
            raise MissingFileError("; ".join(missing))
        announce(shown(missing[0]))
        announce(shown(f"taking recipe {recipe.otherwise} instead of {recipe.name}"))
        name = other_recipe(name, recipe.otherwise)
        if str(recipe_path(name).resolve()) in visited_paths:
            raise DeclarationError(
                f"{recipe_path(name)}: field 'otherwise' leads back to a recipe that was tried; "
                "name a recipe whose weights are there"
            )


def _tell_code(choice: RecipeChoice, announce: Announce) -> None:
    """List the names in a recipe that run code, before they do."""
    names = [choice.recipe.student, *(teacher.backbone for teacher in choice.recipe.teachers)]
    for name in names:
        if runs_code(parse_spec(name)):
            announce(f"recipe {choice.recipe.name} runs code: {name}")


def prepare(choice: RecipeChoice, sources: Sources) -> Prepared:
    """Find the images and build the student; UMTError for a student that no checkpoint could hold."""
    recipe = choice.recipe
    student = build_student(recipe, trusted=choice.trusted)
    refuse_unstorable(student)
    check_size("recipe: views.size", recipe.views.size, student)
    images = (
        find_images(sources.images)
        if sources.images
        else training_images(recipe.datasets, sources.data_root, sources.data, recipe.dataset_weights)
    )
    return Prepared(recipe, images, student, sources.weights, choice.trusted)


def build_student(recipe: DistillRecipe, *, trusted: bool = False) -> Backbone:
    """Build the student, with the weights that its architecture draws from the recipe's seed.

    trusted: true if its name may run code, see `load_recipe`.
    """
    spec = parse_spec(recipe.student)
    random = {"pretrained": False} if spec.scheme in HUB_SCHEMES else {}
    return create_backbone(plain_name(recipe.student), seed=recipe.seed, trusted=trusted, **random)


def grid_of(student: Backbone, view_size: int, index: int = -1) -> Grid:
    """Return rows and columns of a map for a view; UMTError if the student has no such map or cannot take the size."""
    check_size("recipe: views.size", view_size, student)
    check_map("recipe: interaction.maps", index, student.depth)
    side = view_size // student.strides[index]
    return side, side
