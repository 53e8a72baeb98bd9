"""The module of CNN students: LayerNorm, depth-wise 3x3, GELU, grouped 1x1, residual (paper section A.2)."""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umt.distill.spaces.shapes import Grid
from umt.errors import SizeError


class ConvBlock(nn.Module):
    """Cross-space module for `spaces` > 1, intra-space module for 1; takes tokens [B, H W, spaces (d + d_m)].

    The 1x1 convolution mixes only inside a group. If groups were pieces of [F_1, P_1, ..., F_M, P_M] as they lie, as
    in the paper's formula, each would hold a piece of one space's features or of one token, and nothing would cross.
    Here the groups take turns, `chunk` channels at a time, so that each has an equal share of everything.
    """

    def __init__(self, spaces: int, width: int, token_width: int, groups: int) -> None:
        super().__init__()
        channels = spaces * (width + token_width)
        self.chunk = chunk_of(width, token_width, groups)
        self.norm = nn.LayerNorm(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, groups=groups)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Return tokens of the same shape; `grid` is (H, W)."""
        fmap = self.norm(tokens).transpose(1, 2).unflatten(2, grid)  # [B, C, H, W], channels last in memory
        rows = F.gelu(self._depthwise(fmap)).flatten(2).transpose(1, 2).flatten(0, 1)
        mixed = ungrouped(self._mix(grouped(rows, self.pointwise.groups, self.chunk)), self.chunk)
        return tokens + mixed.view_as(tokens)

    def _depthwise(self, fmap: Tensor) -> Tensor:
        """Compute the convolution; a map smaller than its kernel is enlarged by zeros, as its padding does anyway.

        CPU libraries have a fast kernel only for larger maps. Both directions of [32, 3072, 2, 2] take 0.06 of the time
        in bf16, and 0.4 in fp32.
        """
        height, width = fmap.shape[2:]
        missing = [max(0, side - have) for side, have in zip(self.depthwise.kernel_size, (height, width), strict=True)]
        if not any(missing):
            return self.depthwise(fmap)
        enlarged = F.pad(fmap, (0, missing[1], 0, missing[0])).contiguous(memory_format=torch.channels_last)
        return self.depthwise(enlarged)[:, :, :height, :width]

    def _mix(self, groups: Tensor) -> Tensor:
        """Compute the convolution on [G, N, C / G] as matrix products: half the time of a grouped convolution."""
        count, _, width = groups.shape
        weight, bias = self.pointwise.weight.view(count, width, width), self.pointwise.bias
        assert bias is not None
        return torch.baddbmm(bias.view(count, 1, width), groups, weight.transpose(1, 2))


def chunk_of(width: int, token_width: int, groups: int) -> int:
    """Return the largest chunk of channels by which groups can take turns; UMTError if `groups` divides no width."""
    for name, value in (("width", width), ("token_width", token_width)):
        if value % groups:
            raise SizeError(
                f"recipe: interaction.{name} {value} is not divisible by interaction.groups {groups}; "
                f"nearest {_nearest_multiple(value, groups)}"
            )
    return gcd(width, token_width) // groups


def grouped(rows: Tensor, groups: int, chunk: int) -> Tensor:
    """Reorder [N, C] -> [groups, N, C / groups], `chunk` channels for each group in turn."""
    return rows.unflatten(1, (-1, groups, chunk)).permute(2, 0, 1, 3).flatten(2)


def ungrouped(groups: Tensor, chunk: int) -> Tensor:
    """Reorder [groups, N, C / groups] -> [N, C]: the inverse of `grouped`."""
    return groups.unflatten(2, (-1, chunk)).permute(1, 2, 0, 3).flatten(1)


def _nearest_multiple(value: int, divisor: int) -> int:
    return max(1, round(value / divisor)) * divisor
