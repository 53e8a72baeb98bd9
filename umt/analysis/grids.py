"""Feature maps as rows of tokens, and maps of different backbones on one grid."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int]  # rows, columns


def resampled(fmap: Tensor, grid: Grid) -> Tensor:
    """Resample maps [B, C, H, W] to another grid: bilinear, antialiased if it shrinks; unchanged on their own grid."""
    if tuple(fmap.shape[2:]) == grid:
        return fmap
    return F.interpolate(fmap, size=grid, mode="bilinear", align_corners=False, antialias=True)


def tokens_of(fmap: Tensor) -> Tensor:
    """Return maps [B, C, H, W] as rows [B H W, C]."""
    return fmap.flatten(2).transpose(1, 2).flatten(0, 1)
