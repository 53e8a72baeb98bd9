"""The work of Table 1: counts against known values and what really runs, and docs/table1.md against the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from mmseg.registry import MODELS
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.cost.estimate import dataset_gigabytes
from benchmarks.perf.table1_work import (
    SUSTAINED_TFLOPS,
    TableJob,
    distillation_gmacs,
    jobs_of,
    main,
    read_out,
    shape_of,
)
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.registry import get_task
from benchmarks.tasks.workload import Gmacs
from depth.nyuv2 import build_model
from mmseg_configs.ade20k import model_config
from mmseg_configs.scope import mmseg_scope
from umt.backbones import Backbone, create_backbone
from umt.backbones.probing import counted
from umt.data.registry import dataset_info
from umt.distill.cost import measure_cost
from umt.distill.distiller import Distiller
from umt.distill.ingredients import build_student, grid_of
from umt.distill.recipe import load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher

PAGE = Path(__file__).parents[2] / "docs" / "table1.md"
RESNET, VIT = "timm:resnet50", "timm:vit_base_patch16_224"


@pytest.fixture(scope="module")
def jobs() -> dict[str, TableJob]:
    return {job.name.partition(",")[0]: job for job in jobs_of("resnet50", 8)}


def settings_of(task: str) -> Any:
    return load_protocol(task, "paper", get_task(task).settings).settings


def zeros(height: int, width: int) -> torch.Tensor:
    return torch.zeros(1, 3, height, width, device="meta")


@torch.no_grad()
def gmacs_of(backbone: Backbone) -> float:
    return counted(lambda: backbone(zeros(224, 224), maps=(-1,)))[1]


def forward_gmacs(spec: str) -> float:
    return gmacs_of(shape_of(spec))  # which runs it, too


def student() -> Backbone:
    """ResNet-50 through the heads of its recipe."""
    return read_out(load_recipe("resnet50"))


@pytest.mark.parametrize(("spec", "published"), [(RESNET, 4.1), (VIT, 17.6)])
def test_forwards_have_the_published_multiply_adds(spec: str, published: float) -> None:
    assert forward_gmacs(spec) == pytest.approx(published, abs=0.05)


@pytest.mark.parametrize("spec", [RESNET, VIT])
@torch.no_grad()
def test_shapes_alone_count_as_real_numbers_do(spec: str) -> None:
    backbone = create_backbone(spec, pretrained=False).eval().requires_grad_(False)
    with sdpa_kernel(SDPBackend.MATH):  # torch does not count the CPU's own attention
        _, real = counted(lambda: backbone(torch.zeros(1, 3, 224, 224), maps=(-1,)))
    assert forward_gmacs(spec) == real


def test_training_is_three_forwards_where_all_is_trained(jobs: dict[str, TableJob]) -> None:
    forward = gmacs_of(student())
    assert forward > 1.3 * forward_gmacs(RESNET), "heads are counted"
    assert jobs["ImageNet"].gmacs.trained == pytest.approx(3 * forward, rel=1e-2)
    assert jobs["ImageNet"].gmacs.trained == 3 * jobs["ImageNet"].gmacs.tested
    frozen = forward * (512 / 224) ** 2
    assert jobs["ADE20K"].gmacs.trained == pytest.approx(frozen, rel=2e-2), "the head alone is trained"


def test_a_distillation_counts_what_it_prints_at_its_start() -> None:
    paper, small = load_recipe("resnet50"), "timm:test_resnet?pretrained=false"
    teachers = tuple(
        replace(teacher, backbone=f"{small}&mean=0.{index}", weights=None)  # no two of one name
        for index, teacher in enumerate(paper.teachers, 1)
    )
    recipe = replace(paper, student=small, teachers=teachers, interaction=replace(paper.interaction, groups=8))
    plain = build_student(recipe)
    seen = [Teacher(spec, create_backbone(spec.backbone), 224, grid_of(plain, 224)) for spec in teachers]
    model = Distiller(recipe, plain, [SpaceShape(teacher.name, *teacher.widths()) for teacher in seen], seen)
    own, *others, spaces = measure_cost(model, seen, torch.rand(1, 3, 224, 224))
    expected = 3 * (own.gmacs + spaces.gmacs) + sum(other.gmacs for other in others)
    assert distillation_gmacs(recipe).trained == pytest.approx(expected)


def test_images_are_those_of_the_protocols(jobs: dict[str, TableJob]) -> None:
    suite = load_suite("paper")
    columns = suite.tables["table1"].columns
    assert jobs.keys() == {"distillation", *(column.heading for column in columns)}
    assert jobs["distillation"].trained == pytest.approx(300 * 1_281_167, rel=1e-6)  # whole steps
    for column in columns:
        declared = get_task(column.task).workload
        assert declared
        work = declared(settings_of(column.task), dataset_info(column.dataset).splits)
        job, images = jobs[column.heading], (work.trained.images, work.tested.images)
        assert (job.trained, job.tested) == tuple(suite.seeds * count for count in images), column.heading


@torch.no_grad()
def test_tests_count_every_window_and_flip_that_runs(jobs: dict[str, TableJob]) -> None:
    with torch.device("meta"), mmseg_scope(0):
        depth = build_model(settings_of("nyuv2_depth"), student()).eval().requires_grad_(False)
        probe = MODELS.build(model_config(settings_of("ade20k_linear"), student())).eval()
    _, six = counted(lambda: depth.slide_flip_inference(zeros(480, 640), [{}]))
    assert jobs["NYUv2"].gmacs.tested == pytest.approx(six)
    rows, columns = probe._starts(0, 512), probe._starts(1, 704)
    _, two = counted(lambda: probe._window_logits(zeros(512, 704), rows, columns))
    assert jobs["ADE20K"].gmacs.tested == pytest.approx(two)


def test_a_job_takes_the_gpus_that_can_share_its_batch(jobs: dict[str, TableJob]) -> None:
    shared = {name: job.gpus for name, job in jobs.items()}
    assert {name for name, gpus in shared.items() if gpus == 4} == {"Aircraft", "Caltech101", "CUB"}
    assert set(shared.values()) == {4, 8}


def test_hours_by_hand() -> None:
    job = TableJob("a student", "a task", Gmacs(1.0, 2.0), trained=1_000_000, tested=500_000, gpus=2)
    assert job.hours(tflops=1.0) == pytest.approx(2 * 2e15 / 2e12 / 3600)
    assert job.hours(tflops=4.0) == pytest.approx(job.hours(1.0) / 4)


def test_the_default_speed_is_the_published_one() -> None:
    assert pytest.approx(2787.15 * forward_gmacs(VIT) * 2 / 1e3, abs=0.5) == SUSTAINED_TFLOPS


@pytest.mark.slow
def test_the_page_has_what_the_command_prints() -> None:
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 0, done.output
    assert done.output in PAGE.read_text(encoding="utf-8"), "docs/table1.md: put in what it prints now"


def test_the_page_has_the_sizes_of_the_data() -> None:
    sizes = dataset_gigabytes(load_suite("paper").bases)
    assert f"take {sum(sizes.values()):.0f} GB, of which ImageNet {sizes['imagenet']:.0f}" in PAGE.read_text("utf-8")
