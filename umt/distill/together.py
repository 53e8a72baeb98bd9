"""Students of several recipes that learn together, from one pass of the teachers over each view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from umt.distill.distiller import DistillerGroup
from umt.distill.recipe import DistillRecipe, differences
from umt.distill.train import (
    STUDENT_FILE,
    Announce,
    Ingredients,
    RunSettings,
    announce_cost,
    build_distiller,
    fit_statistics,
    history,
    optimiser_groups,
    save_student,
    train_model,
)
from umt.errors import DeclarationError
from umt.training.curves import LOG_FILE
from umt.training.hooks.saving import RESUME_FILE
from umt.training.param_groups import Group

OWN_FIELDS = ("name", "about", "student", "interaction", "alignment", "readout", "otherwise", "start")
OWN_TRAINING = ("lr", "weight_decay")
OWN_TEACHER = ("objective", "feature_loss", "summary_loss", "weight")


@dataclass(frozen=True)
class Learner:
    """A recipe of the group, its objects, and the folder of its student."""

    recipe: DistillRecipe
    ingredients: Ingredients
    folder: Path


def check_recipes(recipes: Sequence[DistillRecipe]) -> None:
    """Raise DeclarationError if recipes differ in a field that students of one pass must share, with both values."""
    first = recipes[0]
    for later in recipes[1:]:
        changed = differences(_shared_fields(first), _shared_fields(later))
        if changed:
            raise DeclarationError(
                f"recipes {first.name} and {later.name} cannot learn together: {'; '.join(changed)}; make them the "
                "same, or distil them one by one"
            )
    names = [recipe.name for recipe in recipes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DeclarationError(f"recipe {twice} is named twice; each student needs a name of its own")


def distill_together(learners: Sequence[Learner], settings: RunSettings, announce: Announce) -> list[Path]:
    """Train the students of all learners side by side, and write each one's checkpoint into its folder.

    A student learns what it would by itself. Started again, the training goes on from its last save.
    """
    context, first = settings.context, learners[0]
    models = {
        learner.recipe.name: build_distiller(learner.recipe, learner.ingredients, context.device)
        for learner in learners
    }
    resumed = (context.work_dir / RESUME_FILE).is_file()
    for learner in learners:
        model = models[learner.recipe.name]
        if not resumed:
            fit_statistics(model, learner.recipe, learner.ingredients)
        of_one = learner.ingredients if learner is first else replace(learner.ingredients, teachers=())
        announce_cost(model, learner.recipe, of_one, announce)
        model.teachers = ()
    teachers = {learner.recipe.name: learner.ingredients.teachers for learner in learners}
    group = DistillerGroup(models, teachers)
    train_model(group, _groups(learners, group), first.recipe, first.ingredients.views, settings)
    if settings.main:
        for learner in learners:
            name = learner.recipe.name
            past = history(learner.recipe, learner.ingredients, context.work_dir / LOG_FILE, f"{name} ")
            save_student(learner.folder / STUDENT_FILE, learner.recipe, models[name], learner.ingredients.data, past)
    return [learner.folder / STUDENT_FILE for learner in learners]


def _groups(learners: Sequence[Learner], group: DistillerGroup) -> list[Group]:
    """Return the optimiser's groups of all students, whose gradients are clipped student by student."""
    return [
        {**part, "clipped_with": learner.recipe.name}
        for learner, model in zip(learners, group.distillers(), strict=True)
        for part in optimiser_groups(model, learner.recipe)
    ]


def _shared_fields(recipe: DistillRecipe) -> dict[str, Any]:
    """Return the fields of a recipe without those that are a student's own."""
    fields = _without(asdict(recipe), OWN_FIELDS)
    fields["training"] = _without(fields["training"], OWN_TRAINING)
    fields["teachers"] = {teacher["name"]: _without(teacher, OWN_TEACHER) for teacher in fields["teachers"]}
    return fields


def _without(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
