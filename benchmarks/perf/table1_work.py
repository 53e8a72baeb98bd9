"""`python -m benchmarks.perf.table1_work`: the multiply-adds of Table 1, and the hours that they take at a given speed.

Nothing is measured and no weights are needed: networks are built on torch's meta device, which knows shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import torch
from mmseg.registry import MODELS
from torch import Tensor

from benchmarks.cost.workload import workload
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import Column, load_suite
from benchmarks.tasks.registry import get_task
from depth import nyuv2
from depth.windows import window_boxes
from mmseg_configs import ade20k
from mmseg_configs.scope import mmseg_scope
from umt.backbones import Backbone, create_backbone
from umt.backbones.contract import round_up
from umt.backbones.probing import counted
from umt.backbones.spec import parse_spec
from umt.data.contract import dataset_info
from umt.distill.cost import FORWARDS_A_STEP
from umt.distill.distiller import make_spaces
from umt.distill.ingredients import grid_of
from umt.distill.objectives import objective_of
from umt.distill.recipe import DistillRecipe, TeacherSpec, load_recipe
from umt.distill.spaces.shapes import SpaceShape, StudentShape
from umt.distill.teachers.teacher import input_size
from umt.training.classifier import Classifier

STUDENTS = ("resnet50", "convnext-b", "vit-b", "vit-l")
SUSTAINED = 98.0  # TFLOP/s of a GPU: timm's published 2,787 images/s of ViT-B/16 (RTX 4090, AMP) x 17.6 GMACs x 2
PHOTOGRAPH = 4 / 3  # width over height, of ADE20K's test images, whose sizes no protocol declares
HEADINGS = ("student", "job", "trained", "GMACs each", "tested", "GMACs each", "GPUs", "hours")
EPILOG = """\b
Example:
  python -m benchmarks.perf.table1_work --gpus 8 --tflops 200
"""


@dataclass(frozen=True)
class Gmacs:
    """Multiply-adds in 10^9 of an image: in training, and in a test with all windows and flips."""

    trained: float
    tested: float = 0.0


@dataclass(frozen=True)
class Job:
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


def jobs_of(student: str, gpus: int) -> list[Job]:
    """List distillation and the tasks of the paper suite, for the student of a recipe."""
    recipe, suite = load_recipe(student), load_suite("paper")
    training, images = recipe.training, sum(dataset_info(name).splits["train"] for name in recipe.datasets)
    shown = training.steps(images) * training.batch
    distillation = Job(student, "distillation", distillation_gmacs(recipe), shown, 0, training.processes(gpus))
    backbone = shape_of(recipe.student)
    return [distillation, *(_task_job(student, backbone, column, suite.seeds, gpus) for column in suite.columns)]


@cache
def shape_of(spec: str) -> Backbone:
    """Build a backbone that has shapes, but no numbers and no memory."""
    options: dict[str, Any] = {"device": "meta"} if parse_spec(spec).scheme == "open_clip" else {}
    with torch.device("meta"):
        return create_backbone(spec, pretrained=False, trusted=True, **options).eval().requires_grad_(False)


@torch.no_grad()
def distillation_gmacs(recipe: DistillRecipe) -> Gmacs:
    """Count the distillation of a view: student and interaction forward and backward, each teacher forward."""
    student = shape_of(recipe.student)
    features, own = counted(lambda: student(_images(recipe.views.size), maps=(-1,)))
    teachers = [_teacher(spec, student, recipe.views.size) for spec in recipe.teachers]
    with torch.device("meta"):
        spaces = make_spaces(recipe.interaction, StudentShape.of(student), [shape for shape, _ in teachers])
    _, interaction = counted(lambda: spaces.eval().requires_grad_(False)(features))
    return Gmacs(FORWARDS_A_STEP * (own + interaction) + sum(gmacs for _, gmacs in teachers))


@torch.no_grad()
def finetuning_gmacs(backbone: Backbone, settings: Any, classes: int) -> Gmacs:
    """Count a fine-tuning: all of it is trained, and tested in one view."""
    with torch.device("meta"):
        model = Classifier(backbone, classes).eval().requires_grad_(False)
    side = round_up(settings.resolution, backbone.preprocess.size_multiple)
    _, forward = counted(lambda: model.logits(_images(side)))
    return Gmacs(FORWARDS_A_STEP * forward, forward)


def ade20k_gmacs(backbone: Backbone, settings: ade20k.ADE20KSettings, classes: int) -> Gmacs:
    """Count ADE20K: the backbone is frozen, the head is trained."""
    with torch.device("meta"), mmseg_scope(0):
        model = MODELS.build(ade20k.model_config(settings, backbone))
    side, height = ade20k.padded_crop_of(settings, backbone.preprocess.size_multiple), min(settings.scale)
    frozen, head = _encoded(model, side, side)
    return Gmacs(frozen + FORWARDS_A_STEP * head, _tested(model, height, round(height * PHOTOGRAPH)))


def nyuv2_gmacs(backbone: Backbone, settings: nyuv2.NYUSettings, classes: int | None) -> Gmacs:
    """Count NYUv2: backbone and head are trained, unless the protocol freezes the backbone."""
    with torch.device("meta"), mmseg_scope(0):
        model = nyuv2.build_model(settings, backbone)
    own, head = _encoded(model, *nyuv2.crop_of(settings, backbone))
    return Gmacs(
        own * (1 if settings.trained == "head" else FORWARDS_A_STEP) + FORWARDS_A_STEP * head,
        _tested(model, *settings.test_size),
    )


COUNTED: dict[str, Callable[[Backbone, Any, Any], Gmacs]] = {
    "imagenet_finetune": finetuning_gmacs,
    "finegrained_finetune": finetuning_gmacs,
    "ade20k_linear": ade20k_gmacs,
    "nyuv2_depth": nyuv2_gmacs,
}


def table(jobs: Sequence[Job], tflops: float) -> str:
    """Write the table in Markdown: a row for each job, and the hours of each student's jobs one after another."""
    rows = []
    for student in dict.fromkeys(job.student for job in jobs):
        own = [job for job in jobs if job.student == student]
        rows += [_row(job, tflops) for job in own]
        rows.append((student, "**all**", "", "", "", "", "", f"**{sum(job.hours(tflops) for job in own):,.1f}**"))
    lines = [f"| {' | '.join(row)} |" for row in (HEADINGS, *rows)]
    return "\n".join([lines[0], f"|---|---{'|---:' * (len(HEADINGS) - 2)}|", *lines[1:]])


def _task_job(student: str, backbone: Backbone, column: Column, seeds: int, gpus: int) -> Job:
    settings: Any = load_protocol(column.task, column.protocol, get_task(column.task).settings).settings
    info = dataset_info(column.dataset)
    work = workload(column.dataset, settings, info.splits)
    gmacs = COUNTED[column.task](backbone, settings, info.classes)
    name = f"{column.heading}, {seeds} seeds"
    return Job(student, name, gmacs, seeds * work.trained, seeds * work.tested, settings.processes(gpus))


def _teacher(spec: TeacherSpec, student: Backbone, view_size: int) -> tuple[SpaceShape, float]:
    backbone = shape_of(spec.backbone)
    side = input_size(spec, backbone, view_size, grid_of(student, view_size))
    features, gmacs = counted(lambda: backbone(_images(side), maps=(-1,)))
    summary = objective_of(spec.objective).summary(features)
    return SpaceShape(spec.name, summary.shape[1], features.maps[-1].shape[1]), gmacs


@cache  # windows have the size of crops
@torch.no_grad()
def _encoded(model: Any, height: int, width: int) -> tuple[float, float]:
    """Count the GMACs of the backbone and of the head of a dense model, on one image."""
    model.eval().requires_grad_(False)
    maps, backbone = counted(lambda: model.backbone(_images(height, width)))
    _, head = counted(lambda: model.decode_head(maps))
    return backbone, head


def _tested(model: Any, height: int, width: int) -> float:
    """Count the GMACs of the test of one image: as a whole, or in windows, with or without their mirror images."""
    config, multiple = model.test_cfg, model.backbone.backbone.preprocess.size_multiple
    image = (round_up(height, multiple), round_up(width, multiple))
    whole = config.mode == "whole"
    boxes = [(0, image[0], 0, image[1])] if whole else window_boxes(image, config.crop_size, config.stride)
    top, bottom, left, right = boxes[0]  # all boxes have the same size
    flips = 2 if config.mode == "slide_flip" else 1
    return len(boxes) * flips * sum(_encoded(model, bottom - top, right - left))


def _images(height: int, width: int | None = None) -> Tensor:
    return torch.zeros(1, 3, height, width or height, device="meta")


def _row(job: Job, tflops: float) -> tuple[str, ...]:
    tested = (f"{job.tested:,}", f"{job.gmacs.tested:,.1f}") if job.tested else ("", "")
    trained = (f"{job.trained:,}", f"{job.gmacs.trained:,.1f}")
    return (job.student, job.name, *trained, *tested, str(job.gpus), f"{job.hours(tflops):,.2f}")


@click.command(epilog=EPILOG)
@click.option("--gpus", type=click.IntRange(1), default=8, show_default=True, help="Of one machine.")
@click.option(
    "--tflops", type=click.FloatRange(0, min_open=True), default=SUSTAINED, show_default=True,
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
