"""Semantic correspondence on rendered objects in SPair-71k's layout."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.scores import scores_of
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.correspondence import TASK, drawn_pairs, padded
from umt.backbones import create_backbone
from umt.correspondence.keypoints import Canvas, keypoint_errors
from umt.data.contract import Dataset
from umt.data.images import decode_rgb
from umt.data.registry import dataset_info
from umt.data.sets.spair import INFO, write_mini
from umt.errors import DeclarationError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("spair")
    write_mini(root, (2, 2, 4))
    return Dataset(INFO, root)


@pytest.fixture
def make_job(dataset: Dataset, tmp_path: Path) -> Callable[..., Job]:
    def make(spec: str = CNN, protocol: str = "mini", **changes: Any) -> Job:
        settings = dataclasses.replace(load_protocol(TASK.name, protocol, TASK.settings).settings, **changes)
        cpu = torch.device("cpu")
        return Job(create_backbone(spec), dataset, settings, 0, cpu, tmp_path, lambda *_: None)

    return make


@pytest.mark.parametrize("spec", [CNN, VIT])
@pytest.mark.parametrize("cells", ["corners", "centres"])
def test_pck_is_the_mean_over_classes_of_the_share_of_keypoints(
    make_job: Callable[..., Job], spec: str, cells: str
) -> None:
    job = make_job(spec, resolution=128, cells=cells, threshold=0.3)
    outcome = TASK.run(job)
    hits: dict[str, list[float]] = {}
    shares = []
    for sample in job.dataset.reported_samples:  # each pair alone, with features of its own
        pair = INFO.pair(sample)  # type: ignore[misc]
        images = torch.stack([padded(decode_rgb(path), 128) for path in pair.images]).float() / 255
        with torch.no_grad():
            maps = F.normalize(job.backbone.eval()(images, maps=(-1,)).maps[0], dim=1)
        [errors] = keypoint_errors(dict(zip(pair.images, maps, strict=True)), [pair], Canvas(128, cells))
        hits.setdefault(pair.category, []).extend((errors < 0.3).tolist())
        shares.append(100 * float((errors < 0.3).mean()))
    class_mean = 100 * np.mean([np.mean(values) for values in hits.values()])
    every = np.concatenate(list(hits.values()))
    assert outcome.metrics["pck"] == pytest.approx(class_mean, abs=0.2)
    assert outcome.metrics["pck_per_image"] == pytest.approx(np.mean(shares), abs=0.2)
    assert outcome.metrics["pck_per_point"] == pytest.approx(100 * np.mean(every), abs=0.2)
    assert 0 < outcome.metrics["pck"] < 100


def test_the_values_of_pairs_give_the_metrics(make_job: Callable[..., Job]) -> None:
    outcome = TASK.run(make_job(resolution=64))
    for metric in ("pck", "pck_per_image"):
        [scores] = scores_of(metric, outcome.raw).values()
        assert scores.over(np.ones((len(outcome.raw["image"]), 1))).item() == pytest.approx(outcome.metrics[metric])
    assert len(set(outcome.raw["image"])) == outcome.details["pairs"] == 36


def test_a_pair_of_each_class_is_drawn(make_job: Callable[..., Job]) -> None:
    outcome = TASK.run(make_job(resolution=64))
    assert [name.split()[0] for name in outcome.pictures] == ["bus", "chair", "tvmonitor"]
    assert set(outcome.details["panels"]["legends"]) == set(outcome.pictures)
    assert all(picture.shape == (256, 3 * 256, 3) for picture in outcome.pictures.values())


def test_draws_are_those_of_probe3d_in_order_of_name(dataset: Dataset) -> None:
    pairs, draws = drawn_pairs(dataset, 5)
    every = sorted((INFO.pair(sample) for sample in dataset.reported_samples), key=lambda pair: pair.name)  # type: ignore[misc]
    for view in (None, 0, 1, 2):
        expected = set()
        for category in {pair.category for pair in every}:
            chosen = [pair for pair in every if pair.category == category]
            chosen = [pair for pair in chosen if view is None or pair.view_difference == view]
            random.seed(20)
            random.shuffle(chosen)
            expected |= {pair.name for pair in chosen[:5]}
        assert draws[view] == expected
    assert {pair.name for pair in pairs} == set().union(*draws.values())
    assert len(drawn_pairs(dataset, None)[0]) == 36


def test_each_image_passes_once(make_job: Callable[..., Job]) -> None:
    job = make_job(resolution=64)
    passed: list[int] = []
    job.backbone.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
    TASK.run(job)
    assert sum(passed) == 12


def test_the_cost_of_the_official_set_counts_each_image_once() -> None:
    settings = load_protocol(TASK.name, "paper", TASK.settings).settings
    assert TASK.workload
    work = TASK.workload(settings, INFO.splits)
    assert 400 < work.tested.images < 600, "18 classes of about 26 images, not 12,234 pairs"


def test_wrong_settings_are_refused(make_job: Callable[..., Job]) -> None:
    with pytest.raises(DeclarationError, match="above 0"):
        make_job(threshold=0.0)
    with pytest.raises(DeclarationError, match="declares no pairs; take spair"):
        drawn_pairs(Dataset(dataset_info("nyuv2"), Path()), None)
