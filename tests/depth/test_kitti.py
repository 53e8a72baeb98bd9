"""KITTI's crops and metrics against the published formula in float64, and the task on wide rooms."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.nyuv2_depth import TASK
from depth.metric import PerImageDepth
from depth.nyuv2 import NYUSettings, evaluation_pipeline, metric_config
from depth.transforms import BenchmarkCrop
from mmseg_configs.datasets import NYUSamples
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.kitti import write_mini
from umt.errors import DataError, DeclarationError

PATCH_14 = "timm:vit_small_patch14_dinov2?pretrained=false&img_size=56&depth=4&embed_dim=12&num_heads=2"


def published(truth: np.ndarray, depth: np.ndarray) -> dict[str, float]:
    """The metrics of one image, over pixels in Garg's crop of its crop with depth of 1 mm to 80 m, in float64."""
    height, width = truth.shape
    truth = truth[height - 352 :, int((width - 1216) / 2) :][:, :1216]
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


@pytest.mark.parametrize("protocol", ["kitti", "kitti_dinov2"])
def test_metrics_are_the_published_ones_on_whole_files(tmp_path: Path, protocol: str) -> None:
    """From the files of the embedded data, some of it nearer and farther than the limits, to the numbers."""
    write_mini(tmp_path, (1, 3))
    settings = load_protocol("nyuv2_depth", protocol, NYUSettings).settings
    metric = PerImageDepth(**{name: value for name, value in metric_config(settings).items() if name != "type"})
    samples = dataset_info("kitti").read(tmp_path, "test")
    for index, sample in enumerate(samples):
        values = np.asarray(Image.open(sample.target))
        farther = values.astype(np.int64) * 30 * (np.random.default_rng(index).uniform(size=values.shape) < 0.9)
        Image.fromarray(np.minimum(farther, 65_535).astype(np.uint16)).save(sample.target)
    with mmseg_scope(0):
        data = NYUSamples(
            samples, pipeline=evaluation_pipeline(settings, dataset_info("kitti").depth_scale), test_mode=True
        )
        packed = [data[index]["data_samples"] for index in range(len(data))]
    rng, rows = np.random.default_rng(0), []
    for sample, item in zip(samples, packed, strict=True):
        depth = rng.uniform(0.5, 80, (352, 1216))
        truth = np.asarray(Image.open(sample.target)).astype(np.float64) / 256
        assert truth.max() > 80, "beyond the limit"
        rows.append(published(truth, depth))
        given = {"gt_depth_map": {"data": item.gt_depth_map.data}, "img_path": str(sample.image)}
        metric.process(None, [{**given, "pred_depth_map": {"data": torch.from_numpy(depth)[None]}}])
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


@pytest.mark.parametrize(
    ("protocol", "spec"),
    [("kitti_mini", "timm:test_resnet?pretrained=false"), ("kitti_dinov2", PATCH_14), ("kitti_dinov2_maps", PATCH_14)],
)
def test_the_task_runs_on_the_layout(tmp_path: Path, protocol: str, spec: str) -> None:
    write_mini(tmp_path / "kitti", (2, 2))
    settings = load_protocol("nyuv2_depth", protocol, NYUSettings).settings
    short = dataclasses.replace(settings, iterations=3, warmup=1, batch=2, bn_batch=2)
    data = Dataset(dataset_info("kitti"), tmp_path / "kitti")
    backbone = create_backbone(spec)
    job = Job(backbone, data, short, 0, torch.device("cpu"), tmp_path / "work", lambda *_: None)
    outcome = TASK.run(job)
    assert 0 < outcome.metrics["rmse"] < settings.max_depth
    assert outcome.details["crop"] == list(settings.crop), "no size multiple, or padded all round in the backbone"
    predictions = [values for name, values in outcome.raw.items() if name.startswith("prediction/")]
    assert [values.shape for values in predictions] == [(352, 1216)] * 2  # images of two drives with one name
    assert len(outcome.pictures) == 2
    with pytest.raises(DeclarationError, match="'test_size' is"):
        dataclasses.replace(settings, test_size=(120, 415))
    with pytest.raises(DeclarationError, match="it must be 0, because head token_bins has none"):
        dataclasses.replace(settings, head="token_bins", dropout=0.1)
