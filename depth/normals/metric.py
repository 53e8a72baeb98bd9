"""Angles between predicted and true normals, with the value of each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from umt.errors import DataError

THRESHOLDS = {"within_11": 11.25, "within_22": 22.5, "within_30": 30.0}  # degrees
NAMES = ("angle_rmse", "angle_mean", "angle_median", *THRESHOLDS)


@METRICS.register_module()
class PerImageNormals(BaseMetric):
    """Root mean square, mean and median of the angle in degrees, and percent within 11.25, 22.5 and 30 of them.

    Each is the mean over images of its value in an image, as probe3d has it. `images` holds the values of each image,
    `pictures` prediction and truth [2, 3, H, W] of those whose path is in `pictured`.
    """

    default_prefix = "normals"

    def __init__(self, pictured: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.pictured = frozenset(pictured)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the values of each image as a tensor, because a read would let a GPU wait."""
        for sample in data_samples:
            truth, path = sample["gt_depth_map"]["data"], sample["img_path"]
            directions = sample["pred_depth_map"]["data"][:3].to(truth)
            shown = {path: torch.stack([directions, truth]).float()} if path in self.pictured else {}
            self.results.append({"path": path, "values": angle_values(directions, truth), "pictures": shown})

    def compute_metrics(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        rows = torch.stack([result["values"].cpu() for result in results]).numpy()
        empty = np.isnan(rows).any(axis=1)
        if empty.any():
            path = results[int(empty.argmax())]["path"]
            raise DataError(f"{path}: no normal where it is evaluated; remove it and its depth")
        images = {name: rows[:, index].tolist() for index, name in enumerate(NAMES)}
        pictures = {path: maps.cpu().numpy() for result in results for path, maps in result["pictures"].items()}
        means = {name: float(rows[:, index].mean()) for index, name in enumerate(NAMES)}
        return {**means, "images": images, "pictures": pictures}


def angle_values(directions: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Compute the metrics of an image in the order of NAMES, float64 [6]; a truth [3, H, W] of 0 is no normal."""
    directions, truth = directions.double(), truth.double()
    valid = truth.abs().amax(dim=0) > 0
    cosine = torch.cosine_similarity(directions, truth, dim=0).clamp(-1, 1)
    degrees = torch.where(valid, cosine.acos().rad2deg(), torch.nan)
    shares = [100 * (degrees < bound).sum() / valid.sum().double() for bound in THRESHOLDS.values()]
    return torch.stack([degrees.square().nanmean().sqrt(), degrees.nanmean(), degrees.nanmedian(), *shares])
