"""The linear depth heads of DINOv2 and DINOv3: a distribution over depth bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from depth.losses import DepthSupervision

ENLARGED = 4  # sides of the map of weights over those of the first map, in DINOv2's head
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
        return mean_depth(self.cls_seg(self.norm(self._transform_inputs(inputs))), self.centres)


@MODELS.register_module()
class TokenBinsHead(DepthSupervision, BaseDecodeHead):
    """Depth in metres [B, 1, H, W] as DINOv2 published it: bins as above, without BatchNorm and dropout.

    It reads [map, summary token] pairs, the token beside each cell, enlarged bilinearly before the convolution. Here
    each is enlarged after its part of the convolution, which is the same function, and needs less memory.
    in_channels: of the maps, which the tokens have, too.
    """

    centres: Tensor

    def __init__(
        self, in_channels: Sequence[int], bins: int, min_depth: float, max_depth: float, **options: Any
    ) -> None:
        width = 2 * sum(in_channels)
        # published heads begin with torch's weights, and not with mmseg's
        super().__init__(width, width, num_classes=bins, threshold=None, init_cfg=None, **options)
        self.parts = [channels for channels in in_channels for _ in ("map", "token")]
        self.register_buffer("centres", torch.linspace(min_depth, max_depth, bins), persistent=False)

    def forward(self, inputs: Sequence[list[Tensor]]) -> Tensor:
        size = [ENLARGED * side for side in inputs[0][0].shape[2:]]
        weights = iter(self.conv_seg.weight.split(self.parts, dim=1))
        logits = self.conv_seg.bias[:, None, None]
        for fmap, token in inputs:
            of_cells = F.conv2d(fmap, next(weights))
            enlarged = F.interpolate(of_cells, size=size, mode="bilinear", align_corners=self.align_corners)
            logits = logits + enlarged + F.conv2d(token[:, :, None, None], next(weights))
        return mean_depth(logits, self.centres)


def mean_depth(logits: Tensor, centres: Tensor) -> Tensor:
    """Return the mean [B, 1, H, W] of bins [K] whose weights have these logits [B, K, H, W]."""
    weights = logits.float().relu() + MIN_BIN_WEIGHT
    return torch.einsum("bkhw,k->bhw", weights / weights.sum(dim=1, keepdim=True), centres)[:, None]
