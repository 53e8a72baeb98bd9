"""The work that tasks declare: counts by hand, what really passes through a backbone, and which features are shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.registry import BUILT_IN, get_task
from benchmarks.tasks.workload import FeaturePasses, Passes, Workload, pass_gmacs
from umt.backbones import create_backbone
from umt.backbones.probing import counted
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.ade20k import write_mini as write_ade20k
from umt.data.sets.nyuv2 import write_mini as write_nyuv2

MakeJob = Callable[..., Job[Any]]
MakeDataset = Callable[..., Dataset]
CNN = "timm:test_resnet?pretrained=false"
FINETUNING = {"epochs": 2.0, "warmup_epochs": 0.4, "batch": 4, "device_batch": 2, "resolution": 64}
DENSE = {"iterations": 4, "warmup": 1, "batch": 2, "bn_batch": 1, "precision": "fp32"}
ROOMS = {"scale": (256, 96), "crop": 64}
WINDOWS = {"test_mode": "slide", "test_window": 64, "test_stride": 48}
DEPTH = {"size": (96, 128), "test_size": (96, 128), "crop": (64, 64), "channels": 16, "test_window": 96}


def work_of(task: str, dataset: str, protocol: str = "paper") -> Workload:
    declared = get_task(task)
    assert declared.workload
    settings = load_protocol(task, protocol, declared.settings).settings
    return declared.workload(settings, dataset_info(dataset).splits)


@pytest.mark.parametrize(
    ("task", "dataset", "protocol", "trained", "tested"),
    [
        ("imagenet_finetune", "imagenet", "paper", 10 * 1_281_167, 50_000),
        ("finegrained_finetune", "aircraft", "paper", 50 * (3334 + 3333), 3333),
        ("ade20k_linear", "ade20k", "paper", 80_000 * 16, 2000),
        ("ade20k_linear", "ade20k", "dinov3", 40_000 * 16, 9 * 2000),  # tested every 5 000 steps, and the best
        ("nyuv2_depth", "nyuv2", "paper", 25_000 * 16, 654),
        ("throughput", "imagenet", "paper", 0, 64 * 24),
    ],
)
def test_images_of_published_protocols(task: str, dataset: str, protocol: str, trained: int, tested: int) -> None:
    work = work_of(task, dataset, protocol)
    assert work.trained.images == pytest.approx(trained, rel=1e-3)  # whole steps
    assert work.tested.images == tested


@pytest.mark.parametrize(
    ("task", "protocol", "size", "each"),
    [
        ("ade20k_linear", "paper", (512, 512), 2),  # windows of an image of 512x683
        ("ade20k_linear", "radio", (512, 683), 1),  # whole
        ("nyuv2_depth", "paper", (480, 480), 6),  # three windows and their mirror images
        ("nyuv2_depth", "dinov3", (480, 640), 2),
    ],
)
def test_windows_of_published_tests(task: str, protocol: str, size: tuple[int, int], each: int) -> None:
    tested = work_of(task, "ade20k" if task == "ade20k_linear" else "nyuv2", protocol).tested
    assert (tested.size, tested.each) == (size, each)


def test_every_task_of_ours_declares_its_work() -> None:
    assert [name for name in BUILT_IN if get_task(name).workload is None] == []


def test_dinov2s_heads_take_a_pass_for_each_of_five_parts() -> None:
    features = work_of("dinov2_linear", "cub").features
    images = Counter({part.what: 0 for part in features})
    for part in features:
        images[part.what] += part.passes.images
    assert images == dict.fromkeys(("mean:-1", "summary:-1", "summary:-2", "summary:-3", "summary:-4"), 5994 + 5794)


def test_jobs_share_the_features_of_one_view() -> None:
    linear, knn, fewshot, heads, names = (
        set(work_of(task, "cub", protocol).features)
        for task, protocol in (
            ("finegrained_linear", "paper"), ("knn", "paper"), ("fewshot", "paper"), ("dinov2_linear", "paper"),
            ("zeroshot", "mini"),
        )
    )  # fmt: skip
    assert knn == fewshot
    assert not linear & knn, "another crop"
    assert not knn & heads, "class tokens and the mean of the last map"
    assert names < set(work_of("knn", "cub", "mini").features), "the reported images alone"


def task_of(job: Job[Any]) -> Any:
    return next(task for task in map(get_task, BUILT_IN) if task.settings is type(job.settings))


def seen_by(job: Job[Any]) -> tuple[Counter[tuple[int, int]], Outcome]:
    """Run a job; count what passes through its backbone by height and width."""
    seen: Counter[tuple[int, int]] = Counter()

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen[tuple(inputs[0].shape[2:])] += len(inputs[0])  # type: ignore[index]

    job.backbone.register_forward_pre_hook(count)
    return seen, task_of(job).run(job)


def declared_of(job: Job[Any]) -> Counter[tuple[int, int]]:
    work = task_of(job).workload(job.settings, job.dataset.sizes)
    declared: Counter[tuple[int, int]] = Counter()
    forwards = {replace(part, what="") for part in work.features}  # a pass gives all parts
    for passes in (work.trained, work.tested, *(part.passes for part in forwards)):
        if passes.images:
            declared[passes.fitted(job.backbone.preprocess)] += passes.images * passes.each
    return declared


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("knn", {"resolution": 60}),
        ("fewshot", {"resolution": 64}),
        ("finegrained_linear", {"resolution": 64, "penalties": 2}),
        ("dinov2_linear", {"resolution": 32, "steps": 2, "batch": 4}),
        ("robustness", {"resolution": 32, "steps": 2, "batch": 4}),
        ("attentive", {"resolution": 32, "epochs": 1, "batch": 4}),
        ("retrieval", {"resolution": 32}),
        ("imagenet_finetune", FINETUNING),
    ],
)
@pytest.mark.parametrize("dataset", ["aircraft", "imagenet"])
def test_classification_takes_the_passes_that_it_declares(
    make_job: MakeJob, make_dataset: MakeDataset, task: str, changes: dict[str, Any], dataset: str
) -> None:
    job = make_job(task, make_dataset(dataset), "mini", **changes)
    seen, _ = seen_by(job)
    assert seen == declared_of(job)


def test_throughput_takes_the_passes_that_it_declares(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    job = make_job("throughput", make_dataset("imagenet"), "mini", batch=2, resolution=32)
    seen, _ = seen_by(job)
    assert seen == declared_of(job) + Counter({(32, 32): 1}), "an image more, whose multiply-adds are counted"


@pytest.mark.parametrize("changes", [{}, WINDOWS, {"best_on_test": 2}, {"best_on_test": 3}])
def test_segmentation_takes_the_passes_that_it_declares(
    tmp_path: Path, make_job: MakeJob, changes: dict[str, Any]
) -> None:
    """Rooms are 4:3, as the declaration takes images to be; a few are tested again for the pictures."""
    write_ade20k(tmp_path / "ade", (3, 2))
    job = make_job(
        "ade20k_linear", Dataset(dataset_info("ade20k"), tmp_path / "ade"), "mini", **DENSE, **ROOMS, **changes
    )
    seen, outcome = seen_by(job)
    work = task_of(job).workload(job.settings, job.dataset.sizes)
    pictured = Counter({work.tested.fitted(job.backbone.preprocess): len(outcome.pictures) * work.tested.each})
    assert seen == declared_of(job) + pictured


@pytest.mark.parametrize("mode", ["whole", "slide_flip"])
def test_depth_takes_the_passes_that_it_declares(tmp_path: Path, make_job: MakeJob, mode: str) -> None:
    write_nyuv2(tmp_path / "nyu", ((2, 1), (1, 1)))
    dataset = Dataset(dataset_info("nyuv2"), tmp_path / "nyu")
    job = make_job("nyuv2_depth", dataset, "mini", **DENSE, **DEPTH, test_mode=mode, test_stride=16)
    seen, _ = seen_by(job)
    assert seen == declared_of(job)


@torch.no_grad()
def test_training_is_three_forwards_of_all_that_learns() -> None:
    backbone = create_backbone(CNN).to("meta").eval().requires_grad_(False)
    passes = Passes(1, (64, 96))
    _, forward = counted(lambda: backbone(torch.zeros(1, 3, 64, 96, device="meta"), maps=(-1,)))

    def network(given: object) -> Callable[[torch.Tensor], object]:
        head = torch.nn.Conv2d(3, 5, 1)
        return lambda images: (backbone(images, maps=(-1,)), head(images))

    head = 64 * 96 * 3 * 5 / 1e9
    assert pass_gmacs(backbone, passes) == (forward, forward)
    assert Workload(trained=passes).gmacs(backbone).trained == 3 * forward
    probe = Workload(trained=passes, tested=replace(passes, each=6), frozen=True, network=network).gmacs(backbone)
    assert probe.trained == pytest.approx(forward + 3 * head)
    assert probe.tested == pytest.approx(6 * (forward + head))


def test_a_pass_grows_to_a_size_that_the_backbone_takes() -> None:
    preprocess = create_backbone("timm:test_vit?pretrained=false").preprocess  # patches of 16, made for 160 pixels
    assert Passes(1, (33, 160)).fitted(preprocess) == (48, 160)
    assert Passes(1).fitted(preprocess) == (160, 160)


def test_features_of_other_images_are_others() -> None:
    part = FeaturePasses("pooled", "training", 1.0, Passes(10, (64, 64)))
    assert part == replace(part)
    assert part != replace(part, split="reported")
