"""Losses between predicted and measured depth, and the way in which every depth head applies them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

LOSSES = {"silog": "MaskedSiLog", "sig": "SigLoss"}  # names of protocols -> of mmseg's registry


@MODELS.register_module()
class MaskedSiLog(nn.Module):
    """SiLog (Eigen et al. 2014) with lambda 0.5 over pixels with truth > 1e-6, mean over images [B, 1, H, W].

    Depth below 1e-6 counts as 1e-6. An image without a measured pixel counts as 0. All pixels take part in each sum: to
    select the measured ones would make a GPU wait for their number.
    """

    EPS = 1e-6  # metres
    loss_name = "loss_silog"

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        pred, target = pred.flatten(1), target.flatten(1)
        measured = target > self.EPS
        counts = measured.sum(dim=1)
        difference = target.clamp(min=self.EPS).log() - pred.clamp(min=self.EPS).log()
        difference = torch.where(measured, difference, 0.0)
        means = (values.sum(dim=1) / counts.clamp(min=1) for values in (difference.square(), difference))
        variances = next(means) - 0.5 * next(means).square()
        roots = torch.where(counts > 0, variances, 1.0).sqrt()  # the gradient of the root of 0 is no number
        return torch.where(counts > 0, roots, 0.0).mean()


@MODELS.register_module()
class SigLoss(nn.Module):
    """AdaBins' SiLog as in DINOv2's and DINOv3's training: the root of variance + 0.15 mean^2 over pixels.

    images: number of images whose pixels are taken together, those of one GPU there; the loss is the mean over such
    groups. None: all images of a forward.
    warmup: forwards in which the variance is left out. `forwards` counts them; it resumes with the weights.
    """

    WARMUP = 100  # optimiser steps: there is one forward a step
    EPS = 1e-3  # metres, added to both before the logarithm
    loss_name = "loss_sig"
    forwards: Tensor

    def __init__(self, images: int | None = None, warmup: int = WARMUP) -> None:
        super().__init__()
        self.images, self.warmup = images, warmup
        self.register_buffer("forwards", torch.zeros((), dtype=torch.long))

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return a scalar loss of depths [B, 1, H, W] in metres; truth 0 is not measured."""
        size = self.images or len(pred)
        losses = [self._of_group(*group) for group in zip(pred.split(size), target.split(size), strict=True)]
        self.forwards += 1
        return torch.stack(losses).mean()

    def _of_group(self, pred: Tensor, target: Tensor) -> Tensor:
        measured = target > 0
        count = measured.sum()
        difference = (torch.where(measured, pred, 1.0) + self.EPS).log() - (target + self.EPS).log()
        mean = torch.where(measured, difference, 0.0).sum() / count.clamp(min=1)
        variance = torch.where(measured, difference - mean, 0.0).square().sum() / (count - 1).clamp(min=1)
        value = 0.15 * mean**2 + torch.where(self.forwards >= self.warmup, variance, 0.0)
        root = value.clamp(min=1e-12).sqrt()  # the gradient of the root of 0 is infinite
        return torch.where(count > 1, root, 0.0)


class DepthSupervision:
    """A loss on depth maps for mmseg's decode heads: predictions are resized to the truth, and compared in metres."""

    align_corners: bool
    loss_decode: Any

    def loss_by_feat(self, depth: Tensor, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        truth = torch.stack([sample.gt_depth_map.data for sample in batch_data_samples])
        depth = resize(depth, size=truth.shape[2:], mode="bilinear", align_corners=self.align_corners)
        return {self.loss_decode.loss_name: self.loss_decode(depth, truth)}
