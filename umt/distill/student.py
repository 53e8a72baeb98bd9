"""The student of a recipe, with random weights, and the grid of its last map."""

from __future__ import annotations

from umt.backbones import create_backbone
from umt.backbones.contract import Backbone
from umt.backbones.spec import parse_spec
from umt.backbones.trust import HUB_SCHEMES
from umt.distill.recipe import DistillRecipe
from umt.distill.spaces.shapes import Grid
from umt.errors import SizeError


def build_student(recipe: DistillRecipe, *, trusted: bool = False) -> Backbone:
    """Build the student, with the weights that its architecture draws from the recipe's seed.

    trusted: true if its name may run code, see `load_recipe`.
    """
    spec = parse_spec(recipe.student)
    random = {"pretrained": False} if spec.scheme in HUB_SCHEMES else {}
    return create_backbone(recipe.student, seed=recipe.seed, trusted=trusted, **random)


def grid_of(student: Backbone, view_size: int) -> Grid:
    """Return rows and columns of the last map for a view; UMTError if the student cannot take its size."""
    multiple = student.preprocess.size_multiple
    if view_size % multiple:
        nearest = max(1, round(view_size / multiple)) * multiple
        raise SizeError(
            f"recipe: views.size {view_size} is not a multiple of {multiple}, which the student needs; take {nearest}"
        )
    side = view_size // student.strides[-1]
    return side, side
