"""The cost of a distillation, told before it starts: widths, parameters, multiply-adds and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor, nn

from umt.backbones.contract import Backbone, round_up
from umt.backbones.probing import FORWARDS_A_STEP, counted
from umt.backbones.spec import parse_spec
from umt.console import shown
from umt.distill.distiller import Distiller
from umt.distill.teachers.teacher import Teacher

REPEATS = 3  # the least time counts: the machine may have other work


@dataclass(frozen=True)
class CostPart:
    """A model of a distillation; `gmacs` and `seconds` are those of the forward of one image."""

    name: str
    about: str
    parameters: int
    gmacs: float
    seconds: float


def measure_cost(model: Distiller, teachers: Sequence[Teacher], images: Tensor) -> list[CostPart]:
    """Measure student, teachers and interaction, each run on `images` [B, 3, R, R]; leave no trace in any of them."""
    student = model.student
    training = model.training
    model.eval()
    with torch.no_grad():
        features = student(images, maps=model.spaces.maps)
        parts = [
            _part("student", _shape(student), student, lambda: student(images, maps=model.spaces.maps), len(images)),
            *(_teacher_part(teacher, images) for teacher in teachers),
            _part("interaction", str(model.spaces.about), model.spaces, lambda: model.spaces(features), len(images)),
        ]
    model.train(training)
    return parts


def step_seconds(parts: Sequence[CostPart], images: int) -> float:
    """Estimate the seconds of a step on so many images: a backward takes about two forwards, teachers have none."""
    return images * sum(
        part.seconds * (FORWARDS_A_STEP if part.name in ("student", "interaction") else 1) for part in parts
    )


def cost_table(parts: Sequence[CostPart]) -> Table:
    """Return the table that `umt distill` prints at its start."""
    table = Table("model", "shape", "parameters", "GMACs an image")
    for part in parts:
        table.add_row(shown(part.name), shown(part.about), f"{part.parameters / 1e6:.2f} M", f"{part.gmacs:.3g}")
    return table


def _teacher_part(teacher: Teacher, images: Tensor) -> CostPart:
    summary, features = teacher.widths()
    about = f"{_name(teacher.backbone)}, {teacher.objective.name}, {teacher.size} px, widths {summary} and {features}"
    return _part(
        f"teacher {teacher.name}",
        about,
        teacher.backbone,
        lambda: teacher(images),
        round_up(len(images), teacher.spec.mosaic**2),
    )


def _part(name: str, about: str, module: nn.Module, forward: Callable[[], object], images: int) -> CostPart:
    _, gmacs = counted(forward)
    seconds = min(_seconds(module, forward) for _ in range(REPEATS)) / images
    parameters = sum(value.numel() for value in module.parameters())
    return CostPart(name, about, parameters, gmacs / images, seconds)


def _seconds(module: nn.Module, forward: Callable[[], object]) -> float:
    started = time.perf_counter()
    forward()
    if next(module.parameters()).is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _shape(student: Backbone) -> str:
    return f"{_name(student)}, width {student.channels[-1]}, stride {student.strides[-1]}"


def _name(backbone: Backbone) -> str:
    """Return the backbone's name without options, which are in the recipe."""
    return parse_spec(backbone.spec).name
