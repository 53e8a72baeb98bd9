"""The module of CNN students: LayerNorm, depth-wise 3x3, GELU, grouped 1x1, residual (paper section A.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umt.distill.spaces import Grid
from umt.errors import UMTError


def mixing_order(spaces: int, width: int, token_width: int, groups: int) -> Tensor:
    """Order of the channels [F_1, P_1, ..., F_M, P_M] in which each of `groups` parts has an equal share of them all.

    A grouped convolution mixes only inside a group. In the order of the paper's formula a group would hold a piece of
    one space's features or of one token, and nothing would cross. UMTError where `groups` divides no width.
    """
    for name, value in (("width", width), ("token_width", token_width)):
        if value % groups:
            raise UMTError(
                f"recipe: interaction.{name} {value} is not divisible by interaction.groups {groups}; "
                f"nearest {_nearest_multiple(value, groups)}"
            )
    channels = torch.arange(spaces * (width + token_width)).view(spaces, width + token_width)
    features = channels[:, :width].reshape(spaces, groups, width // groups)
    token = channels[:, width:].reshape(spaces, groups, token_width // groups)
    return torch.cat([features, token], dim=2).transpose(0, 1).flatten()


class ConvBlock(nn.Module):
    """Cross-space module for `spaces` > 1, intra-space module for 1; of tokens [B, H W, spaces (d + d_m)]."""

    order: Tensor
    back: Tensor

    def __init__(self, spaces: int, width: int, token_width: int, groups: int) -> None:
        super().__init__()
        channels = spaces * (width + token_width)
        order = mixing_order(spaces, width, token_width, groups)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        self.norm = nn.LayerNorm(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, groups=groups)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """The same shape; `grid` is (H, W)."""
        fmap = self.norm(tokens).transpose(1, 2).unflatten(2, grid)  # [B, C, H, W], channels last in memory
        fmap = F.gelu(self.depthwise(fmap)).index_select(1, self.order)
        fmap = self.pointwise(fmap).index_select(1, self.back)
        return tokens + fmap.flatten(2).transpose(1, 2)


def _nearest_multiple(value: int, divisor: int) -> int:
    return max(1, round(value / divisor)) * divisor
