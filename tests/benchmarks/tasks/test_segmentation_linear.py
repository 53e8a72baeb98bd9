"""Linear segmentation of VOC 2012 and Cityscapes: published values, and runs on the embedded data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.data.registry import find_dataset
from umt.data.sets.cityscapes import write_mini as write_cityscapes
from umt.data.sets.voc2012 import write_mini as write_voc2012
from umt.errors import UMTError

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
SHORT = {"iterations": 3, "warmup": 1, "batch": 2, "bn_batch": 1}
SMALL = {"crop": 64, "test_window": 64, "test_stride": 48}
NAMES = {"voc2012": ["background", "aeroplane"], "cityscapes": ["road", "sidewalk"]}
TASK = get_task("segmentation_linear")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a protocol on an embedded data set with some settings changed."""
    write_voc2012(tmp_path / "VOCdevkit" / "VOC2012", (3, 2))
    write_cityscapes(tmp_path / "cityscapes", (3, 2))

    def go(dataset: str, protocol: str, spec: str = CNN, **changes: Any) -> Outcome:
        settings = dataclasses.replace(load_protocol(TASK.name, protocol, TASK.settings).settings, **changes)
        backbone, found, device = create_backbone(spec), find_dataset(dataset, tmp_path), torch.device("cpu")
        work_dir = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        return TASK.run(Job(backbone, found, settings, 0, device, work_dir, lambda *_: None))

    return go


@pytest.mark.parametrize(
    ("dataset", "protocol", "spec", "scale"),
    [
        ("voc2012", "paper", VIT, (256, 64)),
        ("voc2012", "voc_dinov2_maps", VIT, (256, 64)),
        ("voc2012", "voc_dinov2_maps", CNN, (256, 64)),
        ("voc2012", "voc_dinov3", VIT, (256, 64)),
        ("cityscapes", "cityscapes_dinov2", VIT, (128, 64)),
        ("cityscapes", "cityscapes_dinov3", CNN, (128, 64)),
        ("cityscapes", "mini", VIT, (128, 64)),
    ],
)
def test_protocols_run(
    run: Callable[..., Outcome], dataset: str, protocol: str, spec: str, scale: tuple[int, int]
) -> None:
    best = {"best_on_test": 2} if "dinov3" in protocol else {}
    outcome = run(dataset, protocol, spec, scale=scale, **SHORT, **SMALL, **best)
    assert all(0 <= value <= 100 for value in outcome.metrics.values())
    assert list(outcome.details["class_iou"])[:2] == NAMES[dataset]
    assert len(outcome.pictures) == 2
    assert ("best_step" in outcome.details) == bool(best)


VOC = {
    "iterations": 40_000, "batch": 16, "lr": 1e-3, "betas": (0.9, 0.999), "warmup": 1500, "warmup_start": 1e-6,
    "scale": (2048, 512), "scale_range": (0.5, 2.0), "crop": 512, "cat_max_ratio": 0.75, "flip": 0.5, "maps": 1,
    "photometric": True, "weight_decay": 1e-4, "dropout": 0.0, "schedule": "linear_from_start", "best_on_test": None,
    "test_mode": "slide", "test_window": 512, "test_stride": 341, "precision": "fp32", "padding": "centred",
}  # fmt: skip
DINOV3 = {
    "weight_decay": 1e-3, "schedule": "cosine_from_start", "best_on_test": 5000, "dropout": 0.1, "dropout_first": True,
    "imaging": "torchvision",
}  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "changes"),
    [
        ("paper", {}),
        (
            "voc_dinov2_maps",
            {
                "maps": 4, "scale": (99_999_999, 640), "scale_range": (1.0, 3.0), "crop": 640, "test_window": 640,
                "test_stride": 320,
            },
        ),
        ("voc_dinov3", DINOV3),
        ("cityscapes_dinov2", {"scale": (2048, 1024)}),
        ("cityscapes_dinov3", {"scale": (2048, 1024), **DINOV3}),
    ],
)  # fmt: skip
def test_values(protocol: str, changes: dict[str, Any]) -> None:
    loaded = load_protocol(TASK.name, protocol, TASK.settings)
    expected = {**VOC, **changes}
    assert {name: getattr(loaded.settings, name) for name in expected} == expected
    assert loaded.footnote


def test_every_published_protocol_is_held_to_its_values() -> None:
    tested = {"paper", "voc_dinov2_maps", "voc_dinov3", "cityscapes_dinov2", "cityscapes_dinov3"}
    assert tested == set(protocol_names(TASK.name)) - {"mini"}


def test_four_maps_tell_more_than_the_last_one(run: Callable[..., Outcome]) -> None:
    longer = {"scale": (160, 80), "iterations": 20, "warmup": 2, "batch": 3, "bn_batch": 3, "lr": 0.01}
    last, four = (run("voc2012", "paper", CNN, maps=maps, **longer, **SMALL) for maps in (1, 4))
    assert last.metrics != four.metrics


def test_a_backbone_with_fewer_maps_is_refused(run: Callable[..., Outcome]) -> None:
    with pytest.raises(UMTError, match=r"maps.*99.*at most \d+: 'timm:test_resnet"):
        run("voc2012", "paper", CNN, maps=99, **SHORT, **SMALL)
