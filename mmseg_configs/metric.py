"""Intersection over union that keeps the values of each class, from exact counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from mmseg_configs.fused.map import kernel
from umt.errors import NotFiniteError

Areas = tuple[Tensor, Tensor, Tensor, Tensor]


@METRICS.register_module()
class ClassIoU(IoUMetric):
    """miou, macc, aacc in percent, unrounded, class_iou in percent, and `areas` of each image.

    A class that occurs neither in the truth nor in the predictions has no IoU: it is None, and left out of the mean.
    `areas` are the pixels of intersection, prediction and truth of each image, int64 [classes] each. Raises UMTError if
    an image has pixels without a predicted class: its logits are not finite.
    """

    default_prefix = "iou"

    @staticmethod
    def intersect_and_union(pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int) -> Areas:
        """Count the pixels of intersection, union, prediction and truth, int64 [classes] each.

        mmseg counts in float32, which is exact within an image and not over a data set.
        """
        count = _count_compiled if pred_label.device.type == "cpu" and kernel() else _count
        intersection, predicted, true = count(pred_label.flatten(), label.flatten(), num_classes, ignore_index)
        return intersection, predicted + true - intersection, predicted, true

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the metrics of all processes; the counts of this one leave their device only now."""
        counts: list[Areas] = self.results
        if counts:
            counts[:] = map(tuple, torch.stack([torch.stack(areas) for areas in counts]).cpu())
        values: dict[str, float] = super().evaluate(size)
        return values

    def compute_metrics(self, results: Sequence[Areas]) -> dict[str, Any]:
        broken = sum(bool(predicted.sum() < true.sum()) for _, _, predicted, true in results)
        if broken:
            raise NotFiniteError(f"logits of {broken} of {len(results)} test images are not finite; check the backbone")
        totals = [sum(part.double() for part in parts) for parts in zip(*results, strict=True)]
        values = self.total_area_to_metrics(*totals, metrics=["mIoU"])
        percent = {name: 100.0 * np.asarray(value) for name, value in values.items()}
        return {
            "miou": float(np.nanmean(percent["IoU"])),
            "macc": float(np.nanmean(percent["Acc"])),
            "aacc": float(percent["aAcc"]),
            "class_iou": [None if math.isnan(value) else float(value) for value in percent["IoU"]],
            "areas": [
                (intersection.numpy(), predicted.numpy(), true.numpy()) for intersection, _, predicted, true in results
            ],
        }


def _count_compiled(predicted: Tensor, truth: Tensor, classes: int, ignore_index: int) -> Tensor:
    areas = np.zeros((3, classes), np.int64)
    kernel().count(predicted.numpy(), truth.numpy(), ignore_index, areas)  # type: ignore[union-attr]
    return torch.from_numpy(areas)


def _count(predicted: Tensor, truth: Tensor, classes: int, ignore_index: int) -> Tensor:
    true = truth != ignore_index
    counted = ((predicted, true & (predicted == truth)), (predicted, true), (truth, true))
    return torch.stack([_histogram(values, included, classes) for values, included in counted])


def _histogram(values: Tensor, included: Tensor, classes: int) -> Tensor:
    """Count the included values below `classes`; a selection of them would let a GPU wait for their number."""
    counted = included & (values >= 0) & (values < classes)
    bins = values.long().where(counted, classes)
    return torch.zeros(classes + 1, dtype=torch.int64, device=bins.device).scatter_add_(0, bins, counted.long())[:-1]
