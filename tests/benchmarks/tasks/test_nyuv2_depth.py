"""The NYUv2 task from protocol to metrics, on rendered rooms and real stereo."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.data.mini.dense import write_nyuv2
from umt.data.registry import Dataset, dataset_info
from umt.errors import UMTError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
SHORT = {"iterations": 3, "warmup": 1, "batch": 2, "device_batch": 2}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs the task with a protocol of which some settings are changed."""
    root = tmp_path / "nyu"
    write_nyuv2(root, ((2, 1), (1, 1)))

    def go(protocol: str, spec: str = CNN, seed: int = 0, **changes: Any) -> Outcome:
        task = get_task("nyuv2_depth")
        settings = dataclasses.replace(load_protocol(task.name, protocol, task.settings).settings, **changes)
        dataset = Dataset(dataset_info("nyuv2"), root)
        work_dir = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        job = Job(
            create_backbone(spec),
            dataset,
            settings,
            seed,
            torch.device("cpu"),
            work_dir,
            lambda done, total, text: None,
        )
        return task.run(job)

    return go


@pytest.mark.parametrize(("spec", "levels"), [(CNN, [1, 2, 3, 4]), (VIT, [1, 2, 3, 5])])
def test_the_paper_protocol_runs(run: Callable[..., Outcome], spec: str, levels: list[int]) -> None:
    """Everything as published but the sizes: three steps, windows of 96 on images of 128x96, a narrow head."""
    small = {"size": (96, 128), "crop": 96, "test_window": 96, "test_stride": 16, "channels": 16}
    outcome = run("paper", spec, **SHORT, **small, post_process_channels=(8, 8, 8, 8))
    assert outcome.metrics.keys() == {metric.name for metric in get_task("nyuv2_depth").metrics}
    assert all(np.isfinite(value) for value in outcome.metrics.values())
    assert outcome.raw["image"].tolist() == ["motorcycle_0000.jpg", "room_0000.jpg"]
    assert outcome.raw["rmse"].mean() == pytest.approx(outcome.metrics["rmse"])
    assert outcome.details["levels"] == levels
    assert outcome.global_batch == 2


def test_the_paper_protocol_is_the_published_one() -> None:
    task = get_task("nyuv2_depth")
    settings = load_protocol(task.name, "paper", task.settings).settings
    published = {
        "iterations": 25_000, "batch": 16, "lr": 1e-4, "weight_decay": 0.01, "warmup": 1500, "warmup_start": 1e-6,
        "backbone_scale": 0.1, "channels": 256, "post_process_channels": (96, 192, 384, 768), "min_depth": 1e-3,
        "max_depth": 10.0, "scale_range": (0.8, 1.5), "depth_mix": 0.25, "flip": 0.5, "test_mode": "slide_flip",
        "size": (480, 640), "eigen_crop": True,
    }  # fmt: skip
    assert {name: getattr(settings, name) for name in published} == published
    windows = 1 + (settings.size[1] - settings.test_window) // settings.test_stride
    assert windows == 3


def test_equal_seeds_give_equal_metrics_and_other_seeds_others(run: Callable[..., Outcome]) -> None:
    first, second, other = (run("mini", seed=seed, **SHORT) for seed in (0, 0, 1))
    assert first.metrics == second.metrics
    np.testing.assert_array_equal(first.raw["rmse"], second.raw["rmse"])
    assert first.metrics != other.metrics


def test_depth_is_learnt(run: Callable[..., Outcome]) -> None:
    longer = run("mini", iterations=20, warmup=3, batch=2, device_batch=2, lr=1e-2)
    assert longer.metrics["rmse"] < run("mini", **SHORT).metrics["rmse"] - 0.2


def test_depth_of_8_bit_stops_the_job_and_is_named(run: Callable[..., Outcome], tmp_path: Path) -> None:
    bad = tmp_path / "nyu" / "annotations" / "test" / "room_0000.png"
    Image.new("L", (640, 480), 90).save(bad)
    with pytest.raises(UMTError, match=r"room_0000\.png: depth of 8 bit"):
        run("mini", **SHORT)


def test_slide_is_refused_because_mmseg_would_test_whole_images(run: Callable[..., Outcome]) -> None:
    with pytest.raises(UMTError, match="'test_mode' is 'slide'; it must be whole or slide_flip"):
        run("paper", test_mode="slide")
