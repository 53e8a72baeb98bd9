"""A step of distillation: a view, the teachers' targets, the student's spaces, and the losses between them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from umt.backbones.contract import Backbone
from umt.distill.objectives import FEATURE_LOSSES, FeatureLoss, feature_loss, mse, objective_of
from umt.distill.recipe import AlignmentSpec, DistillRecipe, InteractionSpec, TeacherSpec
from umt.distill.spaces.interaction import InteractionModules
from umt.distill.spaces.projectors import Projectors
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape
from umt.distill.teachers.standardise import Standardisers
from umt.distill.teachers.teacher import Targets, Teacher, all_targets
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
        method = recipe.alignment.standardise
        self.standardisers = None if method == "none" else Standardisers(method, shapes)
        self.balance = Balance(recipe.alignment, len(shapes))
        self.feature_losses = {teacher.name: loss_of(teacher) for teacher in recipe.teachers}
        self.teachers = tuple(teachers)
        self.clock = Clock()

    def forward(self, images: Tensor, targets: Cached | None = None, mode: str = "loss") -> dict[str, Tensor]:
        """Compute losses of views [B, 3, R, R], uint8 or in [0, 1]; 'loss' is the minimised sum, the rest its parts."""
        images = as_floats(images)
        teacher_targets = (
            self._targets(images) if targets is None else {name: Targets(*pair) for name, pair in targets.items()}
        )
        spaces: dict[str, SpaceFeatures] = self.spaces(self.student(images, maps=(-1,)))
        parts: dict[str, Tensor] = {}
        losses = [self._space_losses(name, space, teacher_targets[name], parts) for name, space in spaces.items()]
        stacked = torch.stack(losses)
        return {"loss": (self.balance(stacked.detach()) * stacked).sum(), **parts}

    def compile_parts(self) -> None:
        """Let torch.compile speed up student, spaces and teachers, in place: their weights keep their names."""
        for part in (self.student, self.spaces):
            part.compile(dynamic=False)
        for teacher in self.teachers:
            teacher.compile()

    def _targets(self, images: Tensor) -> dict[str, Targets]:
        with self.clock.part(images.device):
            return all_targets(self.teachers, images)

    def _space_losses(self, name: str, space: SpaceFeatures, targets: Targets, parts: dict[str, Tensor]) -> Tensor:
        """Compute the model token loss and the feature loss of one space (paper A.3); their parts go into `parts`."""
        if self.standardisers is not None:
            targets = self.standardisers(name, targets)
        values = {f"{name} feature": distance_of(self.feature_losses[name], space.fmap, targets.features)}
        if space.summary is not None:
            values[f"{name} token"] = mse(space.summary, targets.summary)
        parts.update({key: value.detach() for key, value in values.items()})
        return torch.stack(list(values.values())).sum()


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


def distance_of(loss: FeatureLoss, fmap: Tensor, target: Tensor) -> Tensor:
    """Compare the student's map [B, C, H, W] with the target of its space."""
    return loss.distance(fmap.mean(dim=(2, 3)) if loss.pooled else fmap, target)


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


BALANCES = ("none", "magnitude")
MOMENTUM = 0.99  # decay of the running mean of a teacher's loss


class Balance(nn.Module):
    """Weights of the teachers' losses in a step, [M].

    magnitude: the inverse of each loss's running mean, scaled to a mean of 1. teacher_drop: each teacher but the one
    with the largest loss is left out with this probability (UNIC, Sariyildiz et al. 2024, there for each image).
    """

    running: Tensor

    def __init__(self, spec: AlignmentSpec, teachers: int) -> None:
        super().__init__()
        if spec.balance not in BALANCES:
            raise unknown_name("alignment.balance", spec.balance, BALANCES)
        if not 0 <= spec.teacher_drop < 1:
            raise DeclarationError(f"recipe: alignment.teacher_drop is {spec.teacher_drop}; take a probability below 1")
        self.spec = spec
        self.register_buffer("running", torch.zeros(teachers))

    @torch.no_grad()
    def forward(self, losses: Tensor) -> Tensor:
        """Return the weights of this step's losses [M]."""
        weights = torch.ones_like(losses)
        if self.spec.balance == "magnitude":
            mean = torch.where(self.running > 0, self.running, losses)
            self.running.copy_(MOMENTUM * mean + (1 - MOMENTUM) * losses)
            weights = 1 / self.running.clamp(min=1e-12)
            weights = weights / weights.mean()
        if self.spec.teacher_drop:
            included = torch.rand(len(losses)).to(losses.device) >= self.spec.teacher_drop
            included[losses.argmax()] = True
            weights = weights * included
        return weights
