"""Positions of a ViT resampled as its authors resample them, where timm does it otherwise."""

from __future__ import annotations

from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from umt.errors import BackboneError, SpecError

OFFSET = 0.1  # cells that DINO and DINOv2 add to the grid before they divide, so that rounding loses no cell


class OffsetPositions(VisionTransformer):
    """A ViT whose positions are resampled as by DINO and DINOv2: bicubic, scaled with an offset, not antialiased.

    At the native size nothing is resampled. At others it moves the features by some percent of their size.
    """

    def _pos_embed(self, x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        prefix = 0 if self.no_embed_class else self.num_prefix_tokens
        assert self.pos_embed is not None
        positions, table = self.pos_embed, _offset_bicubic(self.pos_embed[:, prefix:], height, width)
        tokens = [token.expand(x.shape[0], -1, -1) for token in (self.cls_token, self.reg_token) if token is not None]
        x = x.reshape(x.shape[0], -1, channels)
        if self.no_embed_class:
            return self.pos_drop(torch.cat([*tokens, x + table], dim=1))
        return self.pos_drop(torch.cat([*tokens, x], dim=1) + torch.cat([positions[:, :prefix], table], dim=1))


def resample_as(model: nn.Module, authors: str) -> None:
    """Make a ViT of timm resample its positions as its authors do; the only ones known are those of `dinov2`."""
    if authors != "dinov2":
        raise SpecError(f"positions is dinov2, not {authors[:60]!r}")
    if type(model) is not VisionTransformer or not model.dynamic_img_size:
        raise BackboneError(f"positions={authors} is for ViTs of any image size, not for {type(model).__name__}")
    model.__class__ = OffsetPositions


def _offset_bicubic(table: Any, height: int, width: int) -> Tensor:
    side = round(table.shape[1] ** 0.5)
    if (height, width) == (side, side):
        return table
    grid = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((height + OFFSET) / side, (width + OFFSET) / side)
    grid = nn.functional.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    return grid.permute(0, 2, 3, 1).reshape(1, height * width, -1).to(table.dtype)
