"""A step of distillation: a view, the teachers' targets, the student's spaces, and the losses between them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor

from umt.backbones.contract import Backbone, Features
from umt.distill.alignment.balance import Balance, check_schedule, value_at
from umt.distill.alignment.losses import (
    ANGULAR,
    FEATURE_LOSSES,
    Dispersions,
    FeatureLoss,
    feature_loss,
    relational,
    summary_loss,
)
from umt.distill.alignment.shift import Shift
from umt.distill.alignment.standardise import Standardisers
from umt.distill.objectives import objective_of
from umt.distill.recipe import AlignmentSpec, DistillRecipe, InteractionSpec, TeacherSpec
from umt.distill.spaces.interaction import InteractionModules
from umt.distill.spaces.parts import spaces_in_parts
from umt.distill.spaces.projectors import Projectors
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape, Targets
from umt.distill.teachers.teacher import Teacher, all_targets
from umt.errors import DeclarationError, unknown_name

Spaces = InteractionModules | Projectors
METHODS: dict[str, type[Spaces]] = {"umt": InteractionModules, "projectors": Projectors}
Cached = Mapping[str, Sequence[Tensor]]  # summary and features of each space


class Distiller(BaseModel):
    """Student and spaces as mmengine trains them; the teachers stay outside of the module.

    Without `teachers` every batch must bring its targets from a cache.
    """

    def __init__(
        self,
        recipe: DistillRecipe,
        student: Backbone,
        shapes: Sequence[SpaceShape],
        teachers: Sequence[Teacher] = (),
    ) -> None:
        super().__init__(BaseDataPreprocessor(non_blocking=True))
        self.student = student
        self.spaces = make_spaces(recipe.interaction, StudentShape.of(student), shapes)
        self.alignment = check_alignment(recipe)
        self.standardisers = Standardisers.of(self.alignment.standardise, self.alignment.standardise_summary, shapes)
        angular = tuple(teacher.name for teacher in recipe.teachers if teacher.summary_loss == ANGULAR)
        self.dispersions = Dispersions(angular) if angular else None
        self.balance = Balance(recipe.alignment, len(shapes))
        self.specs = {teacher.name: teacher for teacher in recipe.teachers}
        self.feature_losses = {name: loss_of(teacher) for name, teacher in self.specs.items()}
        self.summary_losses = {name: summary_loss(teacher.summary_loss) for name, teacher in self.specs.items()}
        self.teachers = tuple(teachers)
        self.clock = Clock()
        self.share = 0.0  # of the training that is done, for schedules
        self.parts = 1  # of a batch; if several, each computes its spaces again for the gradient, to save memory

    def forward(self, images: Tensor, targets: Cached | None = None, mode: str = "loss") -> dict[str, Tensor]:
        """Compute losses of views [B, 3, R, R], uint8 or in [0, 1]; 'loss' is the minimised sum, the rest its parts."""
        images = as_floats(images)
        teacher_targets = (
            self._targets(images) if targets is None else {name: Targets(*pair) for name, pair in targets.items()}
        )
        shift = Shift.draw(self.alignment.shift)
        features = self.student(shift.move(images, self.student.strides[-1]), maps=(-1,))
        spaces = self._spaces(features)
        parts: dict[str, Tensor] = {}
        losses = [
            self._space_losses(name, space, teacher_targets[name], shift, parts) for name, space in spaces.items()
        ]
        weights = [value_at(self.specs[name].weight, self.share) for name in spaces]
        stacked = torch.stack(losses)
        return {"loss": self.balance(stacked, stacked.new_tensor(weights), features.maps[-1]), **parts}

    def at_step(self, step: int, steps: int) -> None:
        """Take note of the training's step, which schedules and balance follow."""
        self.share, self.balance.step = step / steps, step

    def compile_parts(self) -> None:
        """Let torch.compile speed up student, spaces and teachers, in place: their weights keep their names."""
        for part in (self.student, self.spaces):
            part.compile(dynamic=False)
        for teacher in self.teachers:
            teacher.compile()

    def _spaces(self, features: Features) -> dict[str, SpaceFeatures]:
        if self.parts > 1:
            return spaces_in_parts(self.spaces, features, self.parts)
        spaces: dict[str, SpaceFeatures] = self.spaces(features)
        return spaces

    def _targets(self, images: Tensor) -> dict[str, Targets]:
        with self.clock.part(images.device):
            return all_targets(self.teachers, images)

    def _space_losses(
        self, name: str, space: SpaceFeatures, targets: Targets, shift: Shift, parts: dict[str, Tensor]
    ) -> Tensor:
        """Compute the sum of one space's losses, [] or, if teachers may be dropped, [B]; its parts go into `parts`.

        They are the feature loss and the loss of the model token (paper A.3), and the relational one if asked for.
        """
        if self.standardisers is not None:
            targets = self.standardisers(name, targets)
        losses = {f"{name} feature": distance_of(self.feature_losses[name], space.fmap, targets.features, shift)}
        weights = [1.0]
        if space.summary is not None:
            losses[f"{name} token"] = self._summary_loss(name, space.summary, targets.summary)
            weights.append(value_at(self.alignment.token_weight, self.share))
        if self.alignment.relation:
            losses[f"{name} relation"] = relational(*compared_summaries(space, targets))
            weights.append(self.alignment.relation)
        parts.update({key: value.detach().mean() for key, value in losses.items()})
        reduce = each_image if self.alignment.teacher_drop else torch.mean
        reduced = [weight * reduce(value) for weight, value in zip(weights, losses.values(), strict=True)]
        return torch.stack(reduced).sum(dim=0)

    def _summary_loss(self, name: str, summary: Tensor, target: Tensor) -> Tensor:
        losses = self.summary_losses[name](summary, target)
        return losses if self.dispersions is None else self.dispersions(name, losses)


def check_alignment(recipe: DistillRecipe) -> AlignmentSpec:
    """Return the recipe's alignment; DeclarationError for a schedule, weight or shift that cannot be used."""
    alignment = recipe.alignment
    check_schedule(f"recipe {recipe.name}: alignment.token_weight", alignment.token_weight)
    check_schedule(f"recipe {recipe.name}: alignment.relation", alignment.relation)
    for teacher in recipe.teachers:
        check_schedule(f"recipe {recipe.name}: teachers.{teacher.name}.weight", teacher.weight)
    if alignment.shift < 0:
        raise DeclarationError(f"recipe {recipe.name}: alignment.shift is {alignment.shift}; take 0 or more cells")
    return alignment


def compared_summaries(space: SpaceFeatures, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return the vectors whose relations are compared: summaries, or without a model token pooled features."""
    if space.summary is not None:
        return space.summary, targets.summary
    features = targets.features
    return space.fmap.mean(dim=(2, 3)), features.mean(dim=(2, 3)) if features.ndim == 4 else features


def each_image(losses: Tensor) -> Tensor:
    """Return the mean of every image's losses: [B, ...] -> [B]."""
    return losses.flatten(1).mean(dim=1) if losses.ndim > 1 else losses


def make_spaces(spec: InteractionSpec, student: StudentShape, shapes: Sequence[SpaceShape]) -> Spaces:
    """Build the modules that a recipe's `interaction.method` names."""
    if spec.method not in METHODS:
        raise unknown_name("interaction.method", spec.method, METHODS)
    return METHODS[spec.method](spec, student, shapes)


def loss_of(teacher: TeacherSpec) -> FeatureLoss:
    """Return the feature loss that `loss_name` names."""
    return FEATURE_LOSSES[loss_name(teacher)]


def loss_name(teacher: TeacherSpec) -> str:
    """Return the recipe's own feature loss for a teacher, or that of the teacher's objective."""
    return feature_loss(teacher.feature_loss or objective_of(teacher.objective).feature_loss)


def distance_of(loss: FeatureLoss, fmap: Tensor, target: Tensor, shift: Shift) -> Tensor:
    """Compare the student's map [B, C, H, W] with the target of its space; losses [B, ...]."""
    if loss.pooled:
        return loss.distance(fmap.mean(dim=(2, 3)), target)
    return loss.distance(*shift.common(fmap, target))


def as_floats(images: Tensor) -> Tensor:
    """Convert bytes to numbers in [0, 1], channels last."""
    floats = images.float().div_(255) if images.dtype == torch.uint8 else images
    return floats.contiguous(memory_format=torch.channels_last)


class Clock:
    """Share of the time since the first `part()` that was spent in such parts."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.seconds = 0.0
        self.pending: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def part(self, device: torch.device) -> Iterator[None]:
        """Count the time of this block on `device`."""
        now = time.perf_counter()
        self.started = self.started or now
        if device.type != "cuda":
            yield
            self.seconds += time.perf_counter() - now
            return
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        yield
        end.record()
        self.pending.append((start, end))

    def share(self) -> float:
        """Return the share, between 0 and 1; parts that a GPU has not finished are counted later."""
        while self.pending and self.pending[0][1].query():
            start, end = self.pending.pop(0)
            self.seconds += start.elapsed_time(end) / 1000
        return self.seconds / (time.perf_counter() - self.started) if self.started else 0.0
