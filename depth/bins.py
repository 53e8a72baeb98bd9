"""The linear depth head of DINOv2 and DINOv3: a distribution over depth bins from the last map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from depth.losses import DepthSupervision

MIN_BIN_WEIGHT = 0.1  # of every bin's weight, so that none is ever empty (AdaBins' linear norm)


@MODELS.register_module()
class LinearBinsHead(DepthSupervision, BaseDecodeHead):
    """Depth in metres [B, 1, H, W]: BatchNorm, a 1x1 convolution to `bins` weights, and their mean depth.

    The bins lie evenly on [min_depth, max_depth]; a weight is relu(x) + 0.1, over the sum of them all.
    """

    centres: Tensor

    def __init__(self, in_channels: int, bins: int, min_depth: float, max_depth: float, **options: Any) -> None:
        super().__init__(in_channels, in_channels, num_classes=bins, threshold=None, **options)
        self.norm = nn.BatchNorm2d(in_channels)
        self.register_buffer("centres", torch.linspace(min_depth, max_depth, bins), persistent=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        weights = self.cls_seg(self.norm(self._transform_inputs(inputs))).float().relu() + MIN_BIN_WEIGHT
        share = weights / weights.sum(dim=1, keepdim=True)
        return torch.einsum("bkhw,k->bhw", share, self.centres)[:, None]
