"""Intersection over union with the values of each class kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor


@METRICS.register_module()
class ClassIoU(IoUMetric):
    """miou, macc, aacc in percent, unrounded, and class_iou in percent.

    A class that occurs neither in the truth nor in the predictions has no IoU: it is None, and left out of the mean.
    """

    default_prefix = "iou"

    def compute_metrics(self, results: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> dict[str, Any]:
        # mmseg counts in float32, which is exact within an image and not over a data set
        totals = [sum(part.double() for part in parts) for parts in zip(*results, strict=True)]
        values = self.total_area_to_metrics(*totals, metrics=["mIoU"])
        percent = {name: 100.0 * np.asarray(value) for name, value in values.items()}
        return {
            "miou": float(np.nanmean(percent["IoU"])),
            "macc": float(np.nanmean(percent["Acc"])),
            "aacc": float(percent["aAcc"]),
            "class_iou": [None if math.isnan(value) else float(value) for value in percent["IoU"]],
        }
