"""The ADE20K task from protocol to metrics, on rendered rooms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.items import item_scores
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.ade20k import write_mini as write_ade20k
from umt.data.sets.voc2012 import write_mini as write_voc2012
from umt.distill.distiller import Distiller
from umt.distill.recipe import load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher
from umt.distill.train import save_student
from umt.errors import UMTError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
SHORT = {"iterations": 3, "warmup": 1, "batch": 2, "bn_batch": 1}
SMALL = {"scale": (256, 96), "crop": 64}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs the task with a protocol of which some settings are changed."""
    root = tmp_path / "ADEChallengeData2016"
    write_ade20k(root, (3, 2))

    def go(protocol: str, spec: str = CNN, seed: int = 0, **changes: Any) -> Outcome:
        task = get_task("ade20k_linear")
        settings = dataclasses.replace(load_protocol(task.name, protocol, task.settings).settings, **changes)
        dataset = Dataset(dataset_info("ade20k"), root)
        work_dir = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        seen: list[str] = []
        job = Job(
            create_backbone(spec), dataset, settings, seed, torch.device("cpu"), work_dir,
            lambda done, total, text: seen.append(text),
        )  # fmt: skip
        outcome = task.run(job)
        assert any("loss" in text for text in seen)
        assert seen[-1] == "test"
        return outcome

    return go


@pytest.mark.parametrize("spec", [CNN, VIT])
def test_the_paper_protocol_runs(run: Callable[..., Outcome], spec: str) -> None:
    """Everything as published but the sizes: three steps, windows of 96 on images of 171x128."""
    small = {"scale": (512, 128), "crop": 96, "test_window": 96, "test_stride": 64}
    outcome = run("paper", spec, **SHORT, **small)
    assert {"miou", "macc", "aacc"} == outcome.metrics.keys()
    assert all(0 <= value <= 100 for value in outcome.metrics.values())
    present = [value for value in outcome.details["class_iou"].values() if value is not None]
    assert len(outcome.details["class_iou"]) == 150
    assert outcome.metrics["miou"] == pytest.approx(sum(present) / len(present))
    scores = item_scores("miou", outcome.raw)
    assert scores is not None
    assert scores.over(np.ones((2, 1)))[0] == pytest.approx(outcome.metrics["miou"])
    assert list(outcome.details["class_iou"])[:3] == ["wall", "building", "sky"]
    assert outcome.global_batch == 2
    assert {"crop": 96, "bn_batch": 1, "processes": 1}.items() <= outcome.details.items()
    assert list(outcome.pictures) == ["room_0000", "room_0001"]
    assert all(panel.dtype == np.uint8 and panel.shape[2] == 3 for panel in outcome.pictures.values())


def test_a_set_with_labels_of_its_own(tmp_path: Path) -> None:
    """VOC 2012: background is a class, void is none, and both keep their values."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    write_voc2012(root, (3, 2))
    task = get_task("ade20k_linear")
    settings = dataclasses.replace(load_protocol(task.name, "mini", task.settings).settings, **SHORT, **SMALL)
    dataset = Dataset(dataset_info("voc2012"), root)
    backbone = create_backbone(CNN)
    outcome = task.run(Job(backbone, dataset, settings, 0, torch.device("cpu"), tmp_path / "w", lambda *_: None))
    assert list(outcome.details["class_iou"])[:2] == ["background", "aeroplane"]
    masks = [np.asarray(Image.open(str(sample.target))) for sample in dataset.reported_samples]
    areas = outcome.raw["areas"]
    for label in (0, 11, 18):
        assert areas[areas[:, 1] == label, 4].sum() == sum(int((mask == label).sum()) for mask in masks)


COMMON = {
    "batch": 16, "bn_batch": 16, "lr": 1e-3, "betas": (0.9, 0.999), "warmup": 1500, "warmup_start": 1e-6,
    "scale": (2048, 512), "scale_range": (0.5, 2.0), "crop": 512, "cat_max_ratio": 0.75, "flip": 0.5,
    "photometric": True,
}  # fmt: skip
SLIDE = {"test_mode": "slide", "test_window": 512, "test_stride": 341, "padded_crop": None}


@pytest.mark.parametrize(
    ("protocol", "published"),
    [
        (
            "paper",
            {
                "iterations": 80_000, "weight_decay": 0.0, "schedule": "linear", "dropout": 0.0, "best_on_test": None,
                "padding": "grown", "padding_colour": "black", **SLIDE,
            },
        ),
        (
            "radio",  # radio_linear_8xb2-80k_ade20k-512x512 of its repository
            {
                "iterations": 80_000, "weight_decay": 0.0, "schedule": "linear", "dropout": 0.0, "best_on_test": None,
                "padding": "stretched", "padded_crop": 518, "test_mode": "whole", "padding_colour": "black",
            },
        ),
        (
            "dinov2",  # dinov2_vitb14_ade20k_linear_config of its release
            {
                "iterations": 40_000, "weight_decay": 1e-4, "schedule": "linear_from_start", "dropout": 0.0,
                "best_on_test": None, "padding": "centred", "padding_colour": "mean", **SLIDE,
            },
        ),
        (
            "dinov3",  # config-ade20k-linear-training.yaml of its repository
            {
                "iterations": 40_000, "weight_decay": 1e-3, "schedule": "cosine_from_start", "dropout": 0.1,
                "best_on_test": 5000, "precision": "fp32", "padding_colour": "mean",
                "dropout_first": True, "imaging": "torchvision", "padding": "centred", **SLIDE,
            },
        ),
    ],
)  # fmt: skip
def test_published_values(protocol: str, published: dict[str, Any]) -> None:
    task = get_task("ade20k_linear")
    loaded = load_protocol(task.name, protocol, task.settings)
    expected = {**COMMON, **published}
    assert {name: getattr(loaded.settings, name) for name in expected} == expected
    assert ("trap" in (loaded.footnote or "")) == (protocol != "paper")


@pytest.mark.parametrize("protocol", ["radio", "dinov2"])
def test_published_protocols_run(run: Callable[..., Outcome], protocol: str) -> None:
    small = {"scale": (512, 128), "crop": 96, "padded_crop": None, "test_window": 96, "test_stride": 64}
    outcome = run(protocol, VIT, **SHORT, **small)
    assert 0 <= outcome.metrics["miou"] <= 100
    assert "best_step" not in outcome.details


def test_dinov3s_protocol_reports_the_best_of_its_tests(run: Callable[..., Outcome]) -> None:
    small = {"scale": (256, 64), "crop": 64, "test_window": 64, "test_stride": 64, "lr": 0.1}
    best = run("dinov3", **SHORT, **small, best_on_test=1)
    last = run("dinov3", **SHORT, **small, best_on_test=None)
    assert best.details["best_step"] in (1, 2, 3)
    assert best.metrics["miou"] >= last.metrics["miou"]


@pytest.mark.parametrize("student", ["timm:test_resnet", "timm:test_vit?img_size=64"])
def test_a_checkpoint_and_each_of_its_heads(run: Callable[..., Outcome], tmp_path: Path, student: str) -> None:
    """Evaluate a distilled backbone and the space of each teacher: each has its own maps and numbers."""
    changes = ["teachers.lite0.backbone=timm:test_convnext?pretrained=false", f"student={student}"]
    changes += ["teachers.lite2.backbone=timm:test_vit?pretrained=false&img_size=64", "interaction.groups=8"]
    recipe = load_recipe("mini-cnn-pypi", [*changes, "interaction.heads=4", "views.size=64"])
    torch.manual_seed(0)
    backbone = create_backbone(student, pretrained=False)
    side = 64 // backbone.strides[-1]
    teachers = [Teacher(spec, create_backbone(spec.backbone), 64, (side, side)) for spec in recipe.teachers]
    shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
    save_student(
        tmp_path / "ckpt.pth", recipe, Distiller(recipe, backbone, shapes, teachers), {"images": 0}, {"losses": {}}
    )
    specs = [f"{tmp_path / 'ckpt.pth'}{tap}" for tap in ("#backbone", "#lite0", "#lite2")]
    assert len({create_backbone(spec).weights_hash() for spec in specs}) == 3, "each has results of its own"
    for spec in specs:
        outcome = run("mini", spec, **SHORT, **SMALL)
        assert 0 <= outcome.metrics["miou"] <= 100
        assert len(outcome.pictures) == 2


def test_equal_seeds_give_equal_metrics_and_other_seeds_others(run: Callable[..., Outcome]) -> None:
    first, second, other = (run("mini", seed=seed, **SHORT, **SMALL) for seed in (0, 0, 1))
    assert first.metrics == second.metrics
    assert first.details == second.details
    assert first.metrics != other.metrics


def test_a_head_learns_what_it_is_shown(run: Callable[..., Outcome]) -> None:
    longer = run("mini", iterations=30, warmup=3, batch=3, bn_batch=3, **SMALL)
    assert longer.metrics["aacc"] > run("mini", **SHORT, **SMALL).metrics["aacc"] + 10


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("where", "harm", "message"),
    [
        (
            "annotations/validation/room_0001.png",
            lambda path: Image.new("L", Image.open(path).size, 151).save(path),
            r"annotations/validation/room_0001\.png: label 151, expected 0\.\.150; replace the file",
        ),
        (
            "annotations/training/room_0002.png",
            lambda path: Image.new("L", (7, 5)).save(path),
            r"annotations/training/room_0002\.png: shape 5x7, its image room_0002\.jpg has 120x160; replace one",
        ),
        ("images/training/room_0001.jpg", truncate, r"room_0001\.jpg: image cannot be decoded .*; copy it again"),
        ("annotations/validation/room_0000.png", truncate, r"room_0000\.png: image cannot be decoded"),
        ("images/validation", empty, r"split 'validation' of ADE20K is empty|no image"),
    ],
)  # fmt: skip
def test_bad_input_stops_the_job_with_one_line(
    run: Callable[..., Outcome], tmp_path: Path, where: str, harm: Callable[[Path], None], message: str
) -> None:
    harm(tmp_path / "ADEChallengeData2016" / where)
    with pytest.raises(UMTError, match=message) as caught:
        run("mini", **SHORT, **SMALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [["wall", "floor", "rest"], None])
def test_a_set_of_other_classes_is_probed_by_its_own(tmp_path: Path, names: list[str] | None) -> None:
    """Three classes, painted in stripes: the head has three logits, and IoU has the names of the set, or numbers."""
    for split, count in (("training", 4), ("validation", 2)):
        for folder in ("images", "annotations"):
            (tmp_path / folder / split).mkdir(parents=True)
        for index in range(count):
            labels = np.repeat(np.array([0, 1, 2, 3], np.uint8), 32)[:, None].repeat(128, axis=1)
            Image.fromarray(labels).save(tmp_path / "annotations" / split / f"{index}.png")
            Image.fromarray((labels[..., None] * [60, 40, 80]).astype(np.uint8)).save(
                tmp_path / "images" / split / f"{index}.jpg"
            )
    info = dataclasses.replace(
        dataset_info("ade20k"), name="stripes", classes=3, label_names=(), class_names=names and (lambda root: names)
    )
    task = get_task("ade20k_linear")
    settings = dataclasses.replace(load_protocol(task.name, "mini", task.settings).settings, **SHORT, **SMALL)
    job = Job(
        create_backbone(CNN), Dataset(info, tmp_path), settings, 0, torch.device("cpu"), tmp_path / "work",
        lambda *_: None,
    )  # fmt: skip
    outcome = task.run(job)
    assert [*outcome.details["class_iou"]] == (names or ["class 1", "class 2", "class 3"])
    assert len(outcome.pictures) == 2
