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
from umt.distill.spaces.ladder import Ladder
from umt.distill.spaces.parts import spaces_in_parts
from umt.distill.spaces.projectors import Projectors
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape, Targets, check_size, resampled
from umt.distill.teachers.teacher import Teacher, all_targets, resized
from umt.errors import DeclarationError, unknown_name

Spaces = InteractionModules | Projectors
METHODS: dict[str, type[Spaces]] = {"umt": InteractionModules, "projectors": Projectors, "ladder": Ladder}
LOW_MEMORY_PARTS = 4  # of a batch; more hardly save more, and make its products small
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
        self.alignment = check_alignment(recipe, student)
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
        shift, view = Shift.draw(self.alignment.shift), self._student_view(images)
        features = self.student(shift.move(view, self.student.strides[-1]), maps=self.spaces.maps)
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

    def lower_memory(self) -> None:
        """Compute the spaces of each batch in parts, and again for the gradient; a step takes longer."""
        self.parts = LOW_MEMORY_PARTS

    def compile_parts(self) -> None:
        """Let torch.compile speed up student, spaces and teachers, in place: their weights keep their names."""
        for part in (self.student, self.spaces):
            part.compile(dynamic=False)
        for teacher in self.teachers:
            teacher.compile()

    def _student_view(self, images: Tensor) -> Tensor:
        """Return the views in a size that is drawn for this batch, if the recipe has several."""
        sizes = self.alignment.student_sizes
        return resized(images, sizes[int(torch.randint(len(sizes), ()))]) if sizes else images

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


class DistillerGroup(BaseModel):
    """Several distillers, by the names of their recipes, that learn from one pass of the teachers (as DINOv3's family).

    `teachers` holds each student's own teachers, of the same names and with shared backbones: they differ in cells and
    losses alone. The students share nothing else, and learn what each would by itself.
    """

    def __init__(self, students: Mapping[str, Distiller], teachers: Mapping[str, Sequence[Teacher]]) -> None:
        super().__init__(BaseDataPreprocessor(non_blocking=True))
        self.names = tuple(students)
        self.students = torch.nn.ModuleList(students.values())
        self.by_student = [{teacher.name: teacher for teacher in teachers[name]} for name in self.names]
        self.teachers = tuple(self.by_student[0].values())  # those that run
        self.clock = Clock()

    def forward(self, images: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        """Compute the losses of views [B, 3, R, R], uint8 or in [0, 1], each with its student's name before it."""
        images = as_floats(images)
        targets: list[dict[str, tuple[Tensor, Tensor]]] = [{} for _ in self.names]
        with self.clock.part(images.device):
            for teacher in self.teachers:
                features = teacher.features(images)
                for teachers, own_targets in zip(self.by_student, targets, strict=True):
                    of_student = teachers[teacher.name].targets(features)
                    own_targets[teacher.name] = (of_student.summary, of_student.features)
                del features  # only one teacher has activations in memory
        parts: dict[str, Tensor] = {}
        for name, student, own_targets in zip(self.names, self.students, targets, strict=True):
            parts |= {f"{name} {part}": value for part, value in student(images, own_targets).items()}
        return {"loss": torch.stack([parts[f"{name} loss"] for name in self.names]).sum(), **_detached(parts)}

    def at_step(self, step: int, steps: int) -> None:
        """Tell every student the training's step."""
        for student in self.distillers():
            student.at_step(step, steps)

    def lower_memory(self) -> None:
        """Lower the memory of every student's spaces."""
        for student in self.distillers():
            student.lower_memory()

    def compile_parts(self) -> None:
        """Let torch.compile speed up students, spaces and teachers."""
        for student in self.distillers():
            student.compile_parts()
        for teacher in self.teachers:
            teacher.compile()

    def distillers(self) -> list[Distiller]:
        """Return the students' distillers, in order."""
        return [student for student in self.students if isinstance(student, Distiller)]


def _detached(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in losses.items()}


def check_alignment(recipe: DistillRecipe, student: Backbone) -> AlignmentSpec:
    """Return the recipe's alignment; UMTError for a schedule, weight, shift or size that cannot be used."""
    alignment = recipe.alignment
    check_schedule(f"recipe {recipe.name}: alignment.token_weight", alignment.token_weight)
    check_schedule(f"recipe {recipe.name}: alignment.relation", alignment.relation)
    for teacher in recipe.teachers:
        check_schedule(f"recipe {recipe.name}: teachers.{teacher.name}.weight", teacher.weight)
    if alignment.shift < 0:
        raise DeclarationError(f"recipe {recipe.name}: alignment.shift is {alignment.shift}; take 0 or more cells")
    for size in alignment.student_sizes:
        check_size(f"recipe {recipe.name}: alignment.student_sizes", size, student)
    smallest = min(alignment.student_sizes or (recipe.views.size,))
    if alignment.shift * student.strides[-1] >= smallest:
        raise DeclarationError(
            f"recipe {recipe.name}: alignment.shift of {alignment.shift} cells moves a view of {smallest} pixels out "
            f"of itself; take fewer than {smallest // student.strides[-1]} cells"
        )
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
    """Compare the student's map [B, C, H, W] with the target of its space, on the student's cells; losses [B, ...]."""
    if loss.pooled:
        return loss.distance(fmap.mean(dim=(2, 3)), target)
    return loss.distance(*shift.common(fmap, resampled(target, (fmap.shape[2], fmap.shape[3]))))


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
