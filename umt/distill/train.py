"""A distillation from start to checkpoint: a recipe, run on the engine."""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import timm
import torch
import yaml
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Dataset, default_collate

import umt
from umt.backbones.checkpoint import Space, save_checkpoint
from umt.backbones.contract import Backbone
from umt.declarations import build, read_mapping
from umt.distill.cost import CostPart, measure_cost, step_seconds
from umt.distill.distiller import Distiller, DistillerGroup, as_floats, loss_name
from umt.distill.heads import begin_from, stored_interaction
from umt.distill.recipe import DistillRecipe, differences, rename_kind
from umt.distill.spaces.shapes import SpaceShape, Targets
from umt.distill.teachers.teacher import Teacher, all_targets
from umt.errors import ChangedError
from umt.feature_cache.disk_cache import plain_key
from umt.files import atomic_file, writable_folder
from umt.revision import revision
from umt.training.curves import LOG_FILE, mean_scalars, thinned
from umt.training.engine import Extras, RunContext, fit
from umt.training.hooks.saving import RESUME_FILE
from umt.training.param_groups import Group, layer_decay_groups

STUDENT_FILE = "student.pth"
RECIPE_FILE = "recipe.yaml"
COST_IMAGES = 4  # images that the costs are measured on first
MIN_COST_SECONDS = (
    1.0  # seconds; if a forward of all models takes less, costs are measured on a whole batch, as it will be run
)
CURVE_POINTS = 60  # points of each loss's curve, in the checkpoint and in every result of the student


Announce = Callable[[list[CostPart], float], None]  # costs, and the seconds of all steps


class StepHook(Hook):
    """Tell the model at which step of the training it is."""

    def __init__(self, model: Distiller | DistillerGroup) -> None:
        self.model = model

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.model.at_step(runner.iter, runner.max_iters)


class Views(Protocol):
    """Views by (index, visit), with or without the targets that a cache holds for them."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Ingredients:
    """Objects that a recipe's names stand for; `teachers` is empty if `views` bring their targets."""

    student: Backbone
    teachers: Sequence[Teacher]
    shapes: Sequence[SpaceShape]
    views: Views
    data: Mapping[str, Any]  # plain values for the checkpoint: the number of images and their source


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run that do not change its result."""

    context: RunContext
    save_every: int = 1000  # optimiser steps between saves
    parallel: str = "ddp"
    compile: bool = False
    low_memory: bool = False  # compute the spaces twice, in parts of a batch
    main: bool = True  # true if this process writes the files


def distill(
    recipe: DistillRecipe,
    ingredients: Ingredients,
    settings: RunSettings,
    announce: Announce,
) -> Path:
    """Train the student and write its checkpoint; started again, it goes on from the last save.

    `announce` gets the costs and the estimated seconds before the first step.
    """
    context = settings.context
    model = build_distiller(recipe, ingredients, context.device)
    if not (context.work_dir / RESUME_FILE).is_file():
        fit_statistics(model, recipe, ingredients)
    announce_cost(model, recipe, ingredients, announce)
    train_model(model, optimiser_groups(model, recipe), recipe, ingredients.views, settings)
    path = context.work_dir / STUDENT_FILE
    if settings.main:
        save_student(path, recipe, model, ingredients.data, history(recipe, ingredients, context.work_dir / LOG_FILE))
    return path


def train_model(
    model: Distiller | DistillerGroup, groups: list[Group], recipe: DistillRecipe, views: Views, settings: RunSettings
) -> None:
    """Run the training of a recipe on a model, with the note of the teachers' time in the progress line."""
    if settings.compile:  # not before: the costs are measured on other batch sizes, each of which is compiled apart
        model.compile_parts()
    if settings.low_memory:
        model.lower_memory()
    extras = Extras(
        save_every=settings.save_every,
        ema=recipe.ema,
        parallel=settings.parallel,
        hooks=(StepHook(model),),
        note=lambda: f"teachers {model.clock.share():.0%} of the time" if model.teachers else "cached teachers",
    )
    dataset: Dataset[Any] = views  # type: ignore[assignment]
    fit(model, groups, dataset, recipe.training, settings.context, extras=extras)


def optimiser_groups(model: Distiller, recipe: DistillRecipe) -> list[Group]:
    """Return the optimiser's groups of student, spaces and balance."""
    return layer_decay_groups(
        model.student,
        torch.nn.ModuleList([model.spaces, model.balance]),
        lr=recipe.training.lr,
        weight_decay=recipe.training.weight_decay,
        layer_decay=1.0,
    )


def estimate(
    recipe: DistillRecipe,
    ingredients: Ingredients,
    device: torch.device,
    announce: Announce,
) -> None:
    """Announce the costs and the estimated seconds, and do nothing else."""
    announce_cost(build_distiller(recipe, ingredients, device), recipe, ingredients, announce)


def build_distiller(recipe: DistillRecipe, ingredients: Ingredients, device: torch.device) -> Distiller:
    """Build student and spaces, with weights drawn from the recipe's seed or of its start, and the teachers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = Distiller(recipe, ingredients.student, ingredients.shapes, ingredients.teachers)
    if recipe.start:
        begin_from(Path(recipe.start), model)
    for teacher in ingredients.teachers:
        teacher.to(device)
    return model.to(device)


def claim_folder(folder: Path, recipe: DistillRecipe) -> bool:
    """Make `folder` the recipe's; return true if it already holds the finished student.

    Raises UMTError if it holds another recipe's run, with the fields that differ.
    """
    path = folder / RECIPE_FILE
    record = {name: value for name, value in plain_key(asdict(recipe)).items() if name != "name"}  # the file's name
    if path.is_file():
        stored = read_mapping(path)
        rename_kind(stored)
        full = plain_key(asdict(build(DistillRecipe, {**stored, "name": recipe.name}, path)))  # with newer fields
        changed = differences({**full, "name": None}, {**record, "name": None})
        if changed:
            raise ChangedError(
                f"{path}: this folder belongs to a run with another recipe ({'; '.join(changed)}); "
                "take back the change, or give another --out"
            )
    writable_folder(folder, "--out")
    with atomic_file(path) as handle:
        handle.write(yaml.safe_dump(record, sort_keys=False).encode())
    return (folder / STUDENT_FILE).is_file()


def save_student(
    path: Path,
    recipe: DistillRecipe,
    model: Distiller,
    data: Mapping[str, Any],
    history: Mapping[str, Any],
) -> None:
    """Write the UMT checkpoint: student, spaces, and the provenance of both."""
    teachers = {teacher.name: teacher for teacher in recipe.teachers}
    save_checkpoint(
        path,
        model.student,
        spaces=[
            Space(shape.name, teachers[shape.name].objective, teachers[shape.name].backbone, shape.summary)
            for shape in model.spaces.spaces
        ],
        interaction=stored_interaction(recipe, model),
        readout=recipe.readout,
        provenance={
            "recipe": plain_key(recipe.record()),
            "data": dict(data),
            "objectives": {teacher.name: loss_name(teacher) for teacher in recipe.teachers},
            **history,
            "code": asdict(revision(Path(umt.__file__).parent)),
            "versions": {
                "umt-bench": umt.__version__,
                "torch": str(torch.__version__),
                "timm": timm.__version__,
                "python": platform.python_version(),
            },
        },
    )


def history(recipe: DistillRecipe, ingredients: Ingredients, log: Path, prefix: str = "") -> dict[str, Any]:
    """Return the training history for reports: the last epoch's losses, and a curve of each.

    prefix: of the losses' names in the log, if it has those of several students.
    """
    curve = thinned(log, CURVE_POINTS)
    own_losses = {name.removeprefix(prefix): values for name, values in curve.items() if name.startswith(prefix)}
    losses = {name: values for name, values in own_losses.items() if name == "loss" or " " in name}
    steps = {"step": curve["step"]} if "step" in curve else {}
    return {"losses": _last_losses(recipe, ingredients, log, prefix), "curve": steps | losses}


def _last_losses(
    recipe: DistillRecipe, ingredients: Ingredients, log: Path, prefix: str
) -> dict[str, dict[str, float]]:
    """Return feature and model token loss of each space, mean over the last epoch (tables 2 and 3 of the paper)."""
    images = len(ingredients.views)
    epoch = max(1, round(images / recipe.training.batch))
    means = mean_scalars(log, recipe.training.steps(images) - epoch)
    names = {
        shape.name: {part: f"{prefix}{shape.name} {part}" for part in ("feature", "token")}
        for shape in ingredients.shapes
    }
    return {
        space: {part: means[name] for part, name in parts.items() if name in means} for space, parts in names.items()
    }


def announce_cost(model: Distiller, recipe: DistillRecipe, ingredients: Ingredients, announce: Announce) -> None:
    """Measure the cost of a distillation, and announce it with the seconds of all steps."""
    training = recipe.training
    parts = _costs(model, ingredients, COST_IMAGES)
    if sum(part.seconds for part in parts) * training.device_batch < MIN_COST_SECONDS:
        parts = _costs(model, ingredients, training.device_batch)
    announce(parts, training.steps(len(ingredients.views)) * step_seconds(parts, training.batch))


def _costs(model: Distiller, ingredients: Ingredients, images: int) -> list[CostPart]:
    indices = [index % len(ingredients.views) for index in range(images)]
    pixels = _batch(ingredients.views, indices, _device(model))["images"]
    return measure_cost(model, ingredients.teachers, as_floats(pixels))


@torch.no_grad()
def fit_statistics(model: Distiller, recipe: DistillRecipe, ingredients: Ingredients) -> None:
    """Fit standardisers, and dispersions of standardised summaries; the targets pass once and are not kept.

    The standardisers of a start stay as they are, because its spaces are in their units.
    """
    standardisers, dispersions = model.standardisers, model.dispersions
    to_fit = None if recipe.start else standardisers
    if to_fit is None and dispersions is None:
        return
    summaries: dict[str, list[Tensor]] = {name: [] for name, _ in dispersions.named_buffers()} if dispersions else {}

    def noted() -> Iterator[dict[str, Targets]]:
        for batch in _target_batches(recipe, ingredients, _device(model)):
            for name, values in summaries.items():
                values.append(batch[name].summary)
            yield batch

    if to_fit is not None:
        to_fit.fit(noted())
    else:
        deque(noted(), maxlen=0)
    if dispersions is not None:
        for name, values in summaries.items():
            summary = torch.cat(values)
            dispersions.fit(name, summary if standardisers is None else standardisers.summary[name](summary))


def _target_batches(
    recipe: DistillRecipe, ingredients: Ingredients, device: torch.device
) -> Iterator[dict[str, Targets]]:
    """Yield the targets of first views, spread over all images."""
    count = min(recipe.alignment.statistics_images, len(ingredients.views))
    indices = [index * len(ingredients.views) // count for index in range(count)]
    size = recipe.training.device_batch
    for start in range(0, count, size):
        batch = _batch(ingredients.views, indices[start : start + size], device)
        if "targets" in batch:
            yield {name: Targets(*pair) for name, pair in batch["targets"].items()}
        else:
            yield all_targets(ingredients.teachers, as_floats(batch["images"]))


def _batch(views: Views, indices: Sequence[int], device: torch.device) -> dict[str, Any]:
    """Collate the first views of some images as the engine's loader does."""
    batch = default_collate([views[index, 0] for index in indices])
    moved: dict[str, Any] = BaseDataPreprocessor().to(device).cast_data(batch)
    return moved


def _device(model: Distiller) -> torch.device:
    return next(model.parameters()).device
