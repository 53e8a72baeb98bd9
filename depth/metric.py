"""Depth metrics that keep the value of each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmseg.evaluation import DepthMetric
from mmseg.registry import METRICS

from umt.errors import DataError

EIGEN_SHAPE = (480, 640)  # on which the crop [45:471, 41:601] is defined (Eigen et al. 2014)
# ours -> mmseg's
NAMES = {
    "rmse": "rmse",
    "absrel": "abs_rel",
    "delta1": "d1",
    "delta2": "d2",
    "delta3": "d3",
    "log10": "log10",
    "silog": "silog",
}


@METRICS.register_module()
class PerImageDepth(DepthMetric):
    """rmse (m), absrel, delta1..3 (share below 1.25, 1.25^2, 1.25^3), log10, silog: means over images; rmse_pooled.

    silog is mmseg's: the root of mean(d^2) - 0.5 mean(d)^2 with d the difference of natural logarithms. rmse_pooled
    is the root over all pixels of all images, which some papers report. `images` holds the values of each image, and
    `pictures` prediction and truth [2, H, W] in metres, float32, of those whose path is in `pictured`.
    """

    default_prefix = "depth"

    def __init__(self, pictured: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.pictured = frozenset(pictured)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        for sample in data_samples:
            truth = sample["gt_depth_map"]["data"].squeeze().double()
            mask = self._mask(truth, sample["img_path"])
            depth = sample["pred_depth_map"]["data"].squeeze().to(truth)
            values = {**self._calc_all_metrics(truth[mask], depth[mask]), "pixels": int(mask.sum())}
            path = sample["img_path"]
            shown = {path: torch.stack([depth, truth]).float().cpu().numpy()} if path in self.pictured else {}
            self.results.append({**values, "pictures": shown})

    def compute_metrics(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        images = {name: [result[theirs] for result in results] for name, theirs in NAMES.items()}
        pixels = [result["pixels"] for result in results]
        squares = sum(rmse**2 * count for rmse, count in zip(images["rmse"], pixels, strict=True))
        means = {name: sum(values) / len(values) for name, values in images.items()}
        pictures = {path: maps for result in results for path, maps in result["pictures"].items()}
        pooled = math.sqrt(squares / sum(pixels))
        return {**means, "rmse_pooled": pooled, "images": images, "pictures": pictures}

    def _mask(self, truth: torch.Tensor, path: str) -> torch.Tensor:
        if self.crop_type == "nyu_crop" and truth.shape != EIGEN_SHAPE:
            height, width = truth.shape
            raise DataError(f"{path}: {width}x{height} pixels, the Eigen crop needs 640x480; resize it and its depth")
        mask: torch.Tensor = self._get_eval_mask(truth)
        if not mask.any():
            raise DataError(f"{path}: no valid depth where it is evaluated; remove it and its depth")
        return mask
