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
GARG = (0.40810811, 0.99189189, 0.03594771, 0.96405229)  # top, bottom, left, right as shares (Garg et al. 2016)
NAMES = ("rmse", "absrel", "delta1", "delta2", "delta3", "log10", "silog")


@METRICS.register_module()
class PerImageDepth(DepthMetric):
    """rmse (m), absrel, delta1..3 (share below 1.25, 1.25^2, 1.25^3), log10, silog: means over images; rmse_pooled.

    silog is mmseg's: the root of mean(d^2) - 0.5 mean(d)^2 with d the difference of natural logarithms. rmse_pooled
    is the root over all pixels of all images, which some papers report. `images` holds the values of each image, and
    `pictures` prediction and truth [2, H, W] in metres, float32, of those whose path is in `pictured`.
    garg: evaluate Garg's crop alone.
    """

    default_prefix = "depth"

    def __init__(self, pictured: Sequence[str] = (), garg: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.pictured, self.garg = frozenset(pictured), garg

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the values of each image as a tensor, because a read would let a GPU wait."""
        for sample in data_samples:
            truth = sample["gt_depth_map"]["data"].squeeze().double()
            path = sample["img_path"]
            mask = self._mask(truth, path)
            depth = sample["pred_depth_map"]["data"].squeeze().to(truth)
            shown = {path: torch.stack([depth, truth]).float()} if path in self.pictured else {}
            self.results.append({"path": path, "values": _values(depth, truth, mask), "pictures": shown})

    def evaluate(self, size: int) -> dict[str, Any]:
        """Compute the metrics of all processes; the values of this one leave their device only now."""
        if self.results:
            values = torch.stack([result["values"] for result in self.results]).cpu()
            for result, row in zip(self.results, values, strict=True):
                result["values"] = row
                result["pictures"] = {path: maps.cpu() for path, maps in result["pictures"].items()}
        metrics: dict[str, Any] = super().evaluate(size)
        return metrics

    def compute_metrics(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        *columns, pixels = torch.stack([result["values"] for result in results]).T.tolist()
        if 0.0 in pixels:
            path = results[pixels.index(0.0)]["path"]
            raise DataError(f"{path}: no valid depth where it is evaluated; remove it and its depth")
        images = dict(zip(NAMES, columns, strict=True))
        squares = sum(rmse**2 * count for rmse, count in zip(images["rmse"], pixels, strict=True))
        means = {name: sum(values) / len(values) for name, values in images.items()}
        pictures = {path: maps.numpy() for result in results for path, maps in result["pictures"].items()}
        pooled = math.sqrt(squares / sum(pixels))
        return {**means, "rmse_pooled": pooled, "images": images, "pictures": pictures}

    def _mask(self, truth: torch.Tensor, path: str) -> torch.Tensor:
        if self.crop_type == "nyu_crop" and truth.shape != EIGEN_SHAPE:
            height, width = truth.shape
            raise DataError(f"{path}: {width}x{height} pixels, the Eigen crop needs 640x480; resize it and its depth")
        mask: torch.Tensor = self._get_eval_mask(truth)
        return mask & garg_crop(mask) if self.garg else mask


def garg_crop(mask: torch.Tensor) -> torch.Tensor:
    """Return true inside Garg's crop of a map [H, W], on the device of `mask`."""
    height, width = mask.shape
    top, bottom, left, right = (
        int(share * side) for share, side in zip(GARG, (height, height, width, width), strict=True)
    )
    inside = torch.zeros_like(mask)
    inside[top:bottom, left:right] = True
    return inside


def _values(depth: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute the metrics of an image in the order of NAMES, and the number of its pixels, float64 [8].

    Sums over a mask need no value of the device, as a selection would: masked pixels become equal, without any error.
    """
    depth, truth = depth.where(mask, 1.0), truth.where(mask, 1.0)
    pixels = mask.count_nonzero().double()
    difference = depth - truth
    mean_squared_error = difference.square().sum() / pixels
    relative_error = difference.abs_().div_(truth).sum() / pixels
    ratio = torch.maximum(depth / truth, truth / depth).where(mask, math.inf)
    deltas = [(ratio < 1.25**power).count_nonzero() / pixels for power in (1, 2, 3)]
    logarithms = depth.log_().sub_(truth.log_())
    mean_square = logarithms.square().sum() / pixels
    return torch.stack(
        [
            mean_squared_error.sqrt(),
            relative_error,
            *deltas,
            logarithms.abs().sum() / pixels / math.log(10),
            (mean_square - 0.5 * (logarithms.sum() / pixels).square()).sqrt(),
            pixels,
        ]
    )
