"""KITTI's crops and metrics against the published formula in float64, and the task on wide rooms."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.nyuv2_depth import TASK
from depth.metric import PerImageDepth
from depth.nyuv2 import NYUSettings, metric_config
from depth.transforms import BenchmarkCrop
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.kitti import write_mini
from umt.errors import DataError, DeclarationError


def published(truth: np.ndarray, depth: np.ndarray) -> dict[str, float]:
    """The metrics of one image of 352x1216, over pixels in Garg's crop with depth of 1 mm to 80 m."""
    crop = np.zeros(truth.shape, bool)
    crop[143:349, 43:1172] = True  # 0.40810811, 0.99189189 of 352; 0.03594771, 0.96405229 of 1216
    mask = crop & (truth > 1e-3) & (truth < 80)
    gt, pred = truth[mask], depth[mask]
    ratio = np.maximum(gt / pred, pred / gt)
    return {
        "rmse": np.sqrt(((gt - pred) ** 2).mean()),
        "absrel": (np.abs(gt - pred) / gt).mean(),
        "log10": np.abs(np.log10(gt) - np.log10(pred)).mean(),
        **{f"delta{power}": (ratio < 1.25**power).mean() for power in (1, 2, 3)},
    }


def test_metrics_are_the_published_ones() -> None:
    rng = np.random.default_rng(0)
    config = metric_config(load_protocol("nyuv2_depth", "kitti", NYUSettings).settings)
    metric = PerImageDepth(**{name: value for name, value in config.items() if name != "type"})
    rows = []
    for index in range(3):
        truth = np.where(rng.uniform(size=(352, 1216)) < 0.2, rng.uniform(0.5, 95, (352, 1216)), 0)
        depth = np.clip(rng.uniform(0.5, 90, truth.shape), 1e-3, 80)
        rows.append(published(truth, depth))
        sample = {"gt_depth_map": {"data": torch.from_numpy(truth)[None]}, "img_path": f"{index}.png"}
        metric.process(None, [{**sample, "pred_depth_map": {"data": torch.from_numpy(depth)[None]}}])
    values = metric.compute_metrics(metric.results)
    for name in rows[0]:
        assert values[name] == pytest.approx(np.mean([row[name] for row in rows]), rel=1e-12)


def test_the_benchmark_crop_is_at_the_bottom_in_the_middle() -> None:
    y, x = np.mgrid[:375, :1242]
    results = {"img": np.stack([y, x, x], axis=-1), "gt_depth_map": y + 1000 * x, "seg_fields": ["gt_depth_map"]}
    cropped = BenchmarkCrop().transform({**results, "img_path": "a.png"})
    assert cropped["img"].shape[:2] == cropped["ori_shape"] == cropped["gt_depth_map"].shape == (352, 1216)
    assert cropped["img"][0, 0].tolist() == [23, 13, 13]
    assert cropped["gt_depth_map"][-1, -1] == 374 + 1000 * 1228
    with pytest.raises(DataError, match=r"a\.png: 1242x300 pixels, KITTI's crop needs 1216x352"):
        BenchmarkCrop().transform({"img": results["img"][:300], "seg_fields": [], "img_path": "a.png"})


def test_the_task_runs_on_the_layout(tmp_path: Path) -> None:
    write_mini(tmp_path / "kitti", (2, 2))
    settings = load_protocol("nyuv2_depth", "kitti_mini", NYUSettings).settings
    short = dataclasses.replace(settings, iterations=3, warmup=1, batch=2, bn_batch=2)
    data = Dataset(dataset_info("kitti"), tmp_path / "kitti")
    backbone = create_backbone("timm:test_resnet?pretrained=false")
    job = Job(backbone, data, short, 0, torch.device("cpu"), tmp_path / "work", lambda *_: None)
    outcome = TASK.run(job)
    assert 0 < outcome.metrics["rmse"] < 10  # metres of rooms
    predictions = [values for name, values in outcome.raw.items() if name.startswith("prediction/")]
    assert [values.shape for values in predictions] == [(352, 1216)] * 2  # images of two drives with one name
    assert len(outcome.pictures) == 2
    with pytest.raises(DeclarationError, match="'test_size' is"):
        dataclasses.replace(settings, test_size=(120, 415))
