"""The NYUv2 task from protocol to metrics, on rendered rooms and real stereo."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.registry import get_task
from umt.backbones import Backbone, create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.nyuv2 import write_mini as write_nyuv2
from umt.errors import UMTError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
SHORT = {"iterations": 3, "warmup": 1, "batch": 2, "bn_batch": 2}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rooms") / "nyu"
    write_nyuv2(root, ((2, 1), (1, 1)))
    return root


@pytest.fixture
def run(tmp_path: Path, pictures: Path) -> Callable[..., Outcome]:
    """Runs the task, on its own copy of the data, with a protocol of which some settings are changed."""
    root = tmp_path / "nyu"
    shutil.copytree(pictures, root)

    def go(protocol: str, spec: str | Backbone = CNN, seed: int = 0, **changes: Any) -> Outcome:
        task = get_task("nyuv2_depth")
        settings = dataclasses.replace(load_protocol(task.name, protocol, task.settings).settings, **changes)
        dataset = Dataset(dataset_info("nyuv2"), root)
        work_dir = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        job = Job(
            create_backbone(spec) if isinstance(spec, str) else spec,
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
    small = {
        "size": (96, 128),
        "test_size": (96, 128),
        "crop": (96, 96),
        "test_window": 96,
        "test_stride": 16,
        "channels": 16,
    }
    outcome = run("paper", spec, **SHORT, **small, post_process_channels=(8, 8, 8, 8))
    assert outcome.metrics.keys() == {metric.name for metric in get_task("nyuv2_depth").metrics}
    assert all(np.isfinite(value) for value in outcome.metrics.values())
    assert outcome.raw["rmse"].mean() == pytest.approx(outcome.metrics["rmse"])
    assert outcome.details["levels"] == levels
    assert outcome.details["final_norm"] == (spec == CNN)
    assert outcome.global_batch == 2
    assert outcome.details["bn_batch"] == 2
    assert outcome.details["processes"] == 1


TINY = {"size": (96, 128), "test_size": (96, 128), "crop": (64, 96), "test_window": 96, "test_stride": 16}
NARROW = {"channels": 16, "post_process_channels": (8, 8, 8, 8)}


def test_stored_predictions_give_the_stored_errors(run: Callable[..., Outcome], tmp_path: Path) -> None:
    """By NumPy alone, from the files on disk and the definitions; predictions are stored in half precision."""
    outcome = run("mini", **SHORT)
    for index, name in enumerate(["motorcycle_0000.jpg", "room_0000.jpg"]):
        truth = np.asarray(Image.open(tmp_path / "nyu" / "annotations" / "test" / f"{Path(name).stem}.png")) / 1000
        p, t = outcome.raw[f"prediction/{Path(name).stem}"].astype(float)[45:471, 41:601], truth[45:471, 41:601]
        p, t = p[(t > 1e-3) & (t < 10)], t[(t > 1e-3) & (t < 10)]
        d = np.log(p) - np.log(t)
        expected = {
            "rmse": np.sqrt(((p - t) ** 2).mean()),
            "absrel": (np.abs(p - t) / t).mean(),
            "delta1": (np.maximum(p / t, t / p) < 1.25).mean(),
            "log10": np.abs(d).mean() / np.log(10),
            "silog": np.sqrt((d**2).mean() - 0.5 * d.mean() ** 2),
        }
        assert {key: outcome.raw[key][index] for key in expected} == pytest.approx(expected, abs=2e-3)
    assert {name: panel.dtype for name, panel in outcome.pictures.items()} == {
        "motorcycle_0000": np.uint8,
        "room_0000": np.uint8,
    }


def test_the_proteus_protocol_reports_the_best_of_its_tests(run: Callable[..., Outcome]) -> None:
    outcome = run("proteus", VIT, **SHORT, **TINY, **NARROW, best_on_test=1)
    assert outcome.details["best_step"] in (1, 2, 3)
    lasts = run("proteus", VIT, **SHORT, **TINY, **NARROW, best_on_test=None)
    assert outcome.metrics["rmse"] <= lasts.metrics["rmse"]
    assert "best_step" not in lasts.details


@pytest.mark.parametrize(("spec", "last"), [(CNN, 4), (VIT, 5)])
def test_the_dinov3_protocol_leaves_the_backbone_as_it_was(run: Callable[..., Outcome], spec: str, last: int) -> None:
    backbone = create_backbone(spec)
    before = backbone.weights_hash()
    outcome = run("dinov3", backbone, **SHORT, **{**TINY, "test_window": 128})
    assert backbone.weights_hash() == before
    assert not backbone.training
    assert outcome.details["levels"] == [last]
    assert all(np.isfinite(value) for value in outcome.metrics.values())


@pytest.mark.parametrize(
    ("protocol", "published"),
    [
        (
            "proteus",  # dpt_mae-b14 and nyu_518x518 of its repository, and mmseg's schedule_25k
            {
                "best_on_test": 1000, "iterations": 25_000, "lr": 1e-4, "warmup": 1500, "crop": (518, 518),
                "size": (512, 770), "test_size": (518, 691), "test_window": 518, "test_stride": 129, "drop_path": 0.1,
                "precision": "fp32", "dropout": 0.1, "head": "dpt_raw", "trained": "custom_keys",
                "padding_colour": "mean",
                "final_norm": False, "far_truth": True,
            },
        ),
        (
            "dinov3",  # config-nyu.yaml of its repository
            {
                "iterations": 38_400, "batch": 16, "bn_batch": 16, "loss_images": 2, "final_norm": True,
                "far_truth": True,
                "lr": 3e-4, "weight_decay": 1e-4, "warmup": 12_800, "rotation": 2.5,
                "clip_norm": 35.0, "crop": (416, 544), "head": "bins", "trained": "head", "best_on_test": None,
                "border_crop": True, "schedule": "one_cycle", "loss": "sig", "color_kind": "adabins", "dropout": 0.0,
                "padding_colour": "mean",
            },
        ),
    ],
)  # fmt: skip
def test_published_values(protocol: str, published: dict[str, Any]) -> None:
    task = get_task("nyuv2_depth")
    loaded = load_protocol(task.name, protocol, task.settings)
    assert {name: getattr(loaded.settings, name) for name in published} == published
    assert loaded.footnote


def test_proteus_says_how_its_weights_are_chosen() -> None:
    assert "tested every 1000 steps on the test set" in str(
        load_protocol("nyuv2_depth", "proteus", get_task("nyuv2_depth").settings).footnote
    )


def test_the_paper_protocol_is_the_published_one() -> None:
    task = get_task("nyuv2_depth")
    settings = load_protocol(task.name, "paper", task.settings).settings
    published = {
        "iterations": 25_000, "batch": 16, "lr": 1e-4, "weight_decay": 0.01, "warmup": 1500, "warmup_start": 1e-6,
        "backbone_scale": 0.1, "channels": 256, "post_process_channels": (96, 192, 384, 768), "min_depth": 1e-3,
        "max_depth": 10.0, "scale_range": (0.8, 1.5), "depth_mix": 0.25, "flip": 0.5, "test_mode": "slide_flip",
        "size": (480, 640), "eigen_crop": True, "padding_colour": "mean",
        "final_norm": False, "far_truth": True,
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
    longer = run("mini", iterations=20, warmup=3, batch=2, bn_batch=2, lr=1e-2)
    assert longer.metrics["rmse"] < run("mini", **SHORT).metrics["rmse"] - 0.2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("annotations/test/room_0000.png", np.full((480, 640), 90, np.uint8), r"room_0000\.png: depth of 8 bit"),
        ("annotations/train/room_0000.png", np.zeros((480, 640), np.uint16), r"room_0000\.png: no pixel between"),
        ("images/train/room_0000.jpg", b"no JPEG", r"room_0000\.jpg: "),
    ],
)
def test_a_bad_file_stops_the_job_and_is_named(
    run: Callable[..., Outcome], tmp_path: Path, name: str, content: np.ndarray | bytes, message: str
) -> None:
    path = tmp_path / "nyu" / name
    assert path.is_file()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(content).save(path)
    with pytest.raises(UMTError, match=message) as caught:
        run("mini", **SHORT)
    assert "\n" not in str(caught.value)


def test_an_empty_split_is_named(run: Callable[..., Outcome], tmp_path: Path) -> None:
    for folder in ("images", "annotations"):
        for path in (tmp_path / "nyu" / folder / "test").iterdir():
            path.unlink()
    with pytest.raises(UMTError, match=r"(?s)test.*(empty|no )") as caught:
        run("mini", **SHORT)
    assert "\n" not in str(caught.value)


def test_strides_that_no_dpt_can_scale_are_named(run: Callable[..., Outcome]) -> None:
    backbone = create_backbone(CNN)
    backbone.strides = (2, 4, 8, 12, 16)
    with pytest.raises(UMTError, match=r"scale a map by .*; the strides of the backbone's maps must be multiples"):
        run("mini", backbone, **SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_mode": "slide"}, "'test_mode' is 'slide'; it must be whole or slide_flip"),
        ({"head": "dpp"}, "'head' is 'dpp'; it must be dpt or dpt_raw or bins"),
        ({"trained": "none"}, "'trained' is 'none'; it must be all or custom_keys or head"),
        ({"test_stride": 0}, "'test_stride' is 0; it must be more than 0"),
        ({"max_depth": 0.0}, "'max_depth' is 0.0; it must be more than min_depth 0.001"),
        ({"loss": "sig", "loss_images": 3}, "'loss_images' is 3; it must be null, or a divisor of bn_batch = 16"),
        ({"best_on_test": 0}, "'best_on_test' is 0; it must be null or a number of steps"),
    ],
)
def test_settings_that_do_not_hold(run: Callable[..., Outcome], change: dict[str, Any], message: str) -> None:
    """Among them 'slide', for which mmseg would test whole images."""
    with pytest.raises(UMTError, match=message):
        run("paper", **change)


@pytest.mark.parametrize(
    ("protocol", "processes"), [("paper", [1, 2, 2, 4, 4, 8, 16]), ("dinov3", [1, 2, 2, 4, 4, 8, 8])]
)
def test_processes_that_share_a_forward_evenly(protocol: str, processes: list[int]) -> None:
    """DINOv3's loss is over two images of a forward, which no process shares with another."""
    settings = load_protocol("nyuv2_depth", protocol, get_task("nyuv2_depth").settings).settings
    assert [settings.processes(most) for most in (1, 2, 3, 4, 6, 8, 20)] == processes
    assert dataclasses.replace(settings, loss="sig", loss_images=None).processes(8) == 1
