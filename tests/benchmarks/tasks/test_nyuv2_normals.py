"""The task of normals from protocol to metrics, on rendered rooms and real photographs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.scores import scores_of
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.nyuv2_normals import TASK
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets import nyuv2_ladicky
from umt.data.sets.nyuv2 import write_mini
from umt.errors import DataError, DeclarationError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
SHORT = {"iterations": 3, "warmup": 1, "batch": 2, "bn_batch": 2}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rooms") / "nyu"
    write_mini(root, ((4, 2), (0, 0)))
    return root


@pytest.fixture
def run(tmp_path: Path, rooms: Path) -> Callable[..., Outcome]:
    """Runs the task with a protocol of which some settings are changed."""

    def go(protocol: str = "mini", spec: str = CNN, data: Dataset | None = None, **changes: Any) -> Outcome:
        settings = dataclasses.replace(load_protocol(TASK.name, protocol, TASK.settings).settings, **changes)
        dataset = data or Dataset(dataset_info("nyuv2"), rooms)
        work = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        return TASK.run(Job(create_backbone(spec), dataset, settings, 0, torch.device("cpu"), work, lambda *_: None))

    return go


@pytest.mark.parametrize(("spec", "levels"), [(CNN, [1, 2, 3, 4]), (VIT, [1, 2, 3, 5])])
def test_the_paper_protocol_runs(run: Callable[..., Outcome], spec: str, levels: list[int]) -> None:
    """Everything as published but the sizes: three steps on the middle 96 pixels, a narrow head."""
    small = {"size": (96, 128), "crop": (96, 96), "radius": 2, "channels": 16, "post_process_channels": (8, 8, 8, 8)}
    outcome = run("paper", spec, **SHORT, **small)
    assert outcome.details["levels"] == levels
    for name, value in outcome.metrics.items():
        [scores] = scores_of(name, outcome.raw).values()
        assert scores.over(np.ones((2, 1))).item() == pytest.approx(value)
    assert outcome.metrics["angle_median"] < outcome.metrics["angle_rmse"] < 180
    assert outcome.pictures["room_0000"].shape == (96, 3 * 96, 3)


@pytest.mark.slow
def test_it_learns_the_room(run: Callable[..., Outcome]) -> None:
    untrained, trained = (run(iterations=steps, warmup=1) for steps in (2, 60))
    assert trained.metrics["angle_mean"] < 0.7 * untrained.metrics["angle_mean"]


def test_the_seed_decides(run: Callable[..., Outcome]) -> None:
    first, second = run(**SHORT), run(**SHORT)
    assert first.metrics == second.metrics


@pytest.mark.slow
def test_real_rooms_are_better_known_by_pretrained_weights(run: Callable[..., Outcome], real_data: Path) -> None:
    """Photographs with measured depth, in steps of 39 mm, so that planes need a large square."""
    info = dataset_info("nyuv2")
    few = {"train": 96, "test": 32}
    data = Dataset(
        dataclasses.replace(info, read=lambda root, split: info.read(root, split)[: few[split]]),
        real_data / "nyuv2_mini",
    )
    camera = {"centre": (324.5824, 252.7362), "radius": 8, "tolerance": 0.03, "iterations": 150, "lr": 2e-3}
    known, control = (
        run("mini", f"{spec}", data, **camera).metrics["angle_mean"]
        for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    )
    assert known < control - 2


def test_published_normals_are_read_and_never_mixed_with_derived_ones(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    nyuv2_ladicky.write_mini(tmp_path / "published", (2, 2))
    data = Dataset(dataset_info("nyuv2_ladicky"), tmp_path / "published")
    outcome = run("ladicky_mini", CNN, data, **SHORT)
    assert outcome.metrics["angle_mean"] < 180
    assert outcome.pictures["room_0000"].shape == (96, 3 * 96, 3)
    with pytest.raises(
        DeclarationError, match="'truth' is 'derived', and data set 'nyuv2_ladicky' holds normals; take"
    ):
        run("mini", CNN, data, **SHORT)
    with pytest.raises(DeclarationError, match="'truth' is 'published', and data set 'nyuv2' holds depth; take"):
        run("ladicky_mini", **SHORT)
    hashes = [load_protocol(TASK.name, name, TASK.settings).hash for name in ("mini", "ladicky_mini")]
    assert hashes[0] != hashes[1]


def test_what_is_wrong_is_named(run: Callable[..., Outcome], tmp_path: Path) -> None:
    write_mini(tmp_path / "nyu", ((2, 1), (0, 0)))
    noise = np.random.default_rng(0).integers(500, 9000, (480, 640)).astype(np.uint16)
    Image.fromarray(noise).save(tmp_path / "nyu/annotations/test/room_0000.png")
    with pytest.raises(DataError, match=r"room_0000\.png: no part of it is flat enough for normals"):
        run(data=Dataset(dataset_info("nyuv2"), tmp_path / "nyu"), **SHORT)
    with pytest.raises(DeclarationError, match="'crop' is"):
        run(crop=(200, 96))
