"""`python -m benchmarks.perf.table1_work`: the multiply-adds of Table 1, and the hours that they take at a given speed.

Nothing is measured and no weights are needed: networks are built on torch's meta device, which knows shapes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import torch
from torch import Tensor

from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import Column, load_suite
from benchmarks.tasks.registry import get_task
from benchmarks.tasks.workload import Gmacs
from umt.backbones import Backbone, create_backbone
from umt.backbones.probing import FORWARDS_A_STEP, counted
from umt.backbones.spec import parse_spec
from umt.data.registry import dataset_info
from umt.distill.distiller import make_spaces
from umt.distill.heads import HeadBackbone
from umt.distill.ingredients import grid_of
from umt.distill.objectives import objective_of
from umt.distill.recipe import DistillRecipe, TeacherSpec, load_recipe
from umt.distill.spaces.shapes import SpaceShape, StudentShape
from umt.distill.teachers.teacher import input_size
from umt.errors import DeclarationError

STUDENTS = ("resnet50", "convnext-b", "vit-b", "vit-l")
# TFLOP/s of a GPU: timm's published 2,787 images/s of ViT-B/16 (RTX 4090, AMP) x 17.6 GMACs x 2
SUSTAINED_TFLOPS = 98.0
HEADINGS = ("student", "job", "trained", "GMACs each", "tested", "GMACs each", "GPUs", "hours")
EPILOG = """\b
Example:
  python -m benchmarks.perf.table1_work --gpus 8 --tflops 200
"""


@dataclass(frozen=True)
class TableJob:
    """A row of the table: a distillation, or a task with all its seeds."""

    student: str
    name: str
    gmacs: Gmacs
    trained: int  # images
    tested: int
    gpus: int  # devices that can share it

    def hours(self, tflops: float) -> float:
        """Compute the hours on its GPUs, each at this speed throughout; a multiply-add is two operations."""
        gmacs = self.trained * self.gmacs.trained + self.tested * self.gmacs.tested
        return 2 * gmacs / (1e3 * tflops * self.gpus * 3600)


def jobs_of(student: str, gpus: int) -> list[TableJob]:
    """List distillation and the tasks of the paper suite, for the student of a recipe."""
    recipe, suite = load_recipe(student), load_suite("paper")
    training, images = recipe.training, sum(dataset_info(name).splits["train"] for name in recipe.datasets)
    shown = training.steps(images) * training.batch
    distillation = TableJob(student, "distillation", distillation_gmacs(recipe), shown, 0, training.processes(gpus))
    backbone = read_out(recipe)
    columns = suite.tables["table1"].columns
    return [distillation, *(_task_job(student, backbone, column, suite.seeds, gpus) for column in columns)]


@cache
def shape_of(spec: str) -> Backbone:
    """Build a backbone that has shapes, but no numbers and no memory."""
    options: dict[str, Any] = {"device": "meta"} if parse_spec(spec).scheme == "open_clip" else {}
    with torch.device("meta"):
        return create_backbone(spec, pretrained=False, trusted=True, **options).eval().requires_grad_(False)


def read_out(recipe: DistillRecipe) -> Backbone:
    """Build a student through the heads that its recipe names, with shapes and no numbers."""
    student = shape_of.__wrapped__(recipe.student)  # heads take over its normalisation
    if recipe.readout is None:
        return student
    shapes = [_teacher(spec, student, recipe.views.size)[0] for spec in recipe.teachers]
    with torch.device("meta"):
        spaces = make_spaces(recipe.interaction, StudentShape.of(student), shapes)
        return HeadBackbone(student, spaces, None, recipe.readout).eval().requires_grad_(False)


@torch.no_grad()
def distillation_gmacs(recipe: DistillRecipe) -> Gmacs:
    """Count the distillation of a view: student and interaction forward and backward, each teacher forward."""
    student = shape_of(recipe.student)
    features, student_gmacs = counted(lambda: student(_images(recipe.views.size), maps=(-1,)))
    teachers = [_teacher(spec, student, recipe.views.size) for spec in recipe.teachers]
    with torch.device("meta"):
        spaces = make_spaces(recipe.interaction, StudentShape.of(student), [shape for shape, _ in teachers])
    _, interaction = counted(lambda: spaces.eval().requires_grad_(False)(features))
    return Gmacs(FORWARDS_A_STEP * (student_gmacs + interaction) + sum(gmacs for _, gmacs in teachers))


def table(jobs: Sequence[TableJob], tflops: float) -> str:
    """Write the table in Markdown: a row for each job, and the hours of each student's jobs one after another."""
    rows = []
    for student in dict.fromkeys(job.student for job in jobs):
        student_jobs = [job for job in jobs if job.student == student]
        rows += [_row(job, tflops) for job in student_jobs]
        rows.append(
            (student, "**all**", "", "", "", "", "", f"**{sum(job.hours(tflops) for job in student_jobs):,.1f}**")
        )
    lines = [f"| {' | '.join(row)} |" for row in (HEADINGS, *rows)]
    return "\n".join([lines[0], f"|---|---{'|---:' * (len(HEADINGS) - 2)}|", *lines[1:]])


def _task_job(student: str, backbone: Backbone, column: Column, seeds: int, gpus: int) -> TableJob:
    task = get_task(column.task)
    settings = load_protocol(column.task, column.protocol, task.settings).settings
    if task.workload is None:
        raise DeclarationError(f"the work of task '{task.name}' is unknown: it declares no workload")
    work = task.workload(settings, dataset_info(column.dataset).splits)
    name = f"{column.heading}, {seeds} seeds"
    images = seeds * work.trained.images, seeds * work.tested.images
    return TableJob(student, name, work.gmacs(backbone), *images, settings.processes(gpus))


def _teacher(spec: TeacherSpec, student: Backbone, view_size: int) -> tuple[SpaceShape, float]:
    backbone = shape_of(spec.backbone)
    side = input_size(spec, backbone, view_size, grid_of(student, view_size))
    features, gmacs = counted(lambda: backbone(_images(side), maps=(-1,)))
    summary = objective_of(spec.objective).summary(features)
    return SpaceShape(spec.name, summary.shape[1], features.maps[-1].shape[1]), gmacs


def _images(side: int) -> Tensor:
    return torch.zeros(1, 3, side, side, device="meta")


def _row(job: TableJob, tflops: float) -> tuple[str, ...]:
    tested = (f"{job.tested:,}", f"{job.gmacs.tested:,.1f}") if job.tested else ("", "")
    trained = (f"{job.trained:,}", f"{job.gmacs.trained:,.1f}")
    return (job.student, job.name, *trained, *tested, str(job.gpus), f"{job.hours(tflops):,.2f}")


@click.command(epilog=EPILOG)
@click.option("--gpus", type=click.IntRange(1), default=8, show_default=True, help="Of one machine.")
@click.option(
    "--tflops", type=click.FloatRange(0, min_open=True), default=SUSTAINED_TFLOPS, show_default=True,
    help="Speed of one GPU in 10^12 operations a second, sustained and not its peak.",
)  # fmt: skip
def main(gpus: int, tflops: float) -> None:
    """Print the images, multiply-adds and hours of Table 1, student by student.

    The default speed is that of the forward of ViT-B/16 in timm's published list for an RTX 4090 (eager, mixed
    precision): 2,787 images a second, of 17.6 GMACs each. Convolutions sustain less. The paper does not say how
    many hours its own runs took.
    """
    jobs = [job for student in STUDENTS for job in jobs_of(student, gpus)]
    click.echo(table(jobs, tflops))


if __name__ == "__main__":
    main()
