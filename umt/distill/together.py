"""Students of several recipes that learn together, from one pass of the teachers over each view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    @property
    def name(self) -> str:
        """Return the student's name in the group, which is that of its folder."""
        return self.folder.name


def groups_of(recipes: Mapping[str, DistillRecipe], limit: int) -> list[list[str]]:
    """Return the names of the students that can share a pass, `limit` together at most, in order."""
    groups: list[list[str]] = []
    for name, recipe in recipes.items():
        fields = _shared_fields(recipe)
        fitting = (group for group in groups if len(group) < limit and _shared_fields(recipes[group[0]]) == fields)
        group = next(fitting, None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups


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


def distill_together(
    learners: Sequence[Learner], settings: RunSettings, announcer: Callable[[Learner], Announce]
) -> None:
    """Train the students of all learners side by side, and write each one's checkpoint into its folder.

    A student learns what it would by itself. Started again, the training goes on from its last save.
    """
    context, first = settings.context, learners[0]
    models = {
        learner.name: build_distiller(learner.recipe, learner.ingredients, context.device) for learner in learners
    }
    resumed = (context.work_dir / RESUME_FILE).is_file()
    for learner in learners:
        model = models[learner.name]
        if not resumed:
            fit_statistics(model, learner.recipe, learner.ingredients)
        of_one = learner.ingredients if learner is first else replace(learner.ingredients, teachers=())
        announce_cost(model, learner.recipe, of_one, announcer(learner))
        model.teachers = ()
    teachers = {learner.name: learner.ingredients.teachers for learner in learners}
    group = DistillerGroup(models, teachers)
    train_model(group, _groups(learners, group), first.recipe, first.ingredients.views, settings)
    if settings.main:
        for learner in learners:
            past = history(learner.recipe, learner.ingredients, context.work_dir / LOG_FILE, f"{learner.name} ")
            model = models[learner.name]
            save_student(learner.folder / STUDENT_FILE, learner.recipe, model, learner.ingredients.data, past)


def _groups(learners: Sequence[Learner], group: DistillerGroup) -> list[Group]:
    """Return the optimiser's groups of all students, whose gradients are clipped student by student."""
    return [
        {**part, "clipped_with": learner.name}
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
