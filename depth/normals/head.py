"""The DPT head for normals, and the loss of an angle with its uncertainty (Bae et al. 2021, as probe3d trains)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from depth.head import StridedDPTHead

NORMAL, OUTPUTS = 3, 4  # channels of a normal, and with its certainty


@MODELS.register_module()
class DPTNormalHead(StridedDPTHead):
    """Directions of any length and a certainty [B, 4, H, W] from four [map, summary token] pairs, shallow to deep."""

    def __init__(self, in_channels: Sequence[int], strides: Sequence[int], **options: Any) -> None:
        super().__init__(in_channels, strides, outputs=OUTPUTS, **options)

    def loss_by_feat(self, directions: Tensor, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        truth = torch.stack([sample.gt_depth_map.data for sample in batch_data_samples])
        directions = resize(directions, size=truth.shape[2:], mode="bilinear", align_corners=self.align_corners)
        return {self.loss_decode.loss_name: self.loss_decode(directions.float(), truth)}


@MODELS.register_module()
class AngularLoss(nn.Module):
    """Mean over pixels of k angle + log(1 + exp(-k pi)) - log(k^2 + 1), with k = elu(certainty) + 1.01."""

    EPS = 1e-4  # off a cosine of 1, at which the gradient of the angle is infinite
    LEAST = 1.01  # certainty is then more than 0.01
    loss_name = "loss_angle"

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return a scalar of predictions [B, 4, H, W]; a target [B, 3, H, W] of 0 is no normal."""
        valid = target.abs().amax(dim=1) > 0
        cosine = F.cosine_similarity(pred[:, :NORMAL], target, dim=1)
        angle = cosine.clamp(-1 + self.EPS, 1 - self.EPS).acos()
        certainty = F.elu(pred[:, NORMAL]) + self.LEAST
        likelihood = (1 + (-certainty * math.pi).exp()).log() - (certainty.square() + 1).log() + certainty * angle
        # a masked sum: to select pixels would make a GPU wait for their number
        return torch.where(valid, likelihood, 0.0).sum() / valid.sum().clamp(min=1)
