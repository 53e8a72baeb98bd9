"""The ADE20K task from protocol to metrics, on rendered rooms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.data.mini.dense import write_ade20k
from umt.data.registry import Dataset, dataset_info
from umt.errors import UMTError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
SHORT = {"iterations": 3, "warmup": 1, "batch": 2, "device_batch": 1}
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
    present = [value for value in outcome.details["class_iou"] if value is not None]
    assert len(outcome.details["class_iou"]) == 150
    assert outcome.metrics["miou"] == pytest.approx(sum(present) / len(present))
    assert outcome.global_batch == 2


def test_the_paper_protocol_is_the_published_one() -> None:
    task = get_task("ade20k_linear")
    settings = load_protocol(task.name, "paper", task.settings).settings
    published = {
        "iterations": 80_000, "batch": 16, "lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0, "warmup": 1500,
        "warmup_start": 1e-6, "scale": (2048, 512), "scale_range": (0.5, 2.0), "crop": 512, "cat_max_ratio": 0.75,
        "flip": 0.5, "photometric": True, "dropout": 0.0, "test_mode": "slide", "test_window": 512, "test_stride": 341,
    }  # fmt: skip
    assert {name: getattr(settings, name) for name in published} == published


def test_equal_seeds_give_equal_metrics_and_other_seeds_others(run: Callable[..., Outcome]) -> None:
    first, second, other = (run("mini", seed=seed, **SHORT, **SMALL) for seed in (0, 0, 1))
    assert first.metrics == second.metrics
    assert first.details == second.details
    assert first.metrics != other.metrics


def test_a_head_learns_what_it_is_shown(run: Callable[..., Outcome]) -> None:
    longer = run("mini", iterations=30, warmup=3, batch=3, device_batch=3, **SMALL)
    assert longer.metrics["aacc"] > run("mini", **SHORT, **SMALL).metrics["aacc"] + 10


def test_a_bad_label_stops_the_job_and_is_named(run: Callable[..., Outcome], tmp_path: Path) -> None:
    bad = tmp_path / "ADEChallengeData2016" / "annotations" / "validation" / "room_0001.png"
    Image.new("L", Image.open(bad).size, 151).save(bad)
    with pytest.raises(UMTError, match=r"room_0001\.png: label 151"):
        run("mini", **SHORT, **SMALL)
