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
        own, table = self.pos_embed, _offset_bicubic(self.pos_embed[:, prefix:], height, width)
        tokens = [token.expand(x.shape[0], -1, -1) for token in (self.cls_token, self.reg_token) if token is not None]
        x = x.reshape(x.shape[0], -1, channels)
        if self.no_embed_class:
            return self.pos_drop(torch.cat([*tokens, x + table], dim=1))
        return self.pos_drop(torch.cat([*tokens, x], dim=1) + torch.cat([own[:, :prefix], table], dim=1))


class CroppedPositions(VisionTransformer):
    """A ViT of RADIO: its positions are stretched to the longer side and cropped, and it has several class tokens.

    The global feature is the tokens of `summary`, one after the other.
    """

    summary: tuple[int, ...] = (0,)

    def _pos_embed(self, x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        assert self.no_embed_class
        table = _bilinear_crop(self.pos_embed, height, width)
        tokens = [token.expand(x.shape[0], -1, -1) for token in (self.cls_token, self.reg_token) if token is not None]
        return self.pos_drop(torch.cat([*tokens, x.reshape(x.shape[0], -1, channels) + table], dim=1))

    def pool(self, x: Tensor, pool_type: str | None = None) -> Tensor:
        return x[:, list(self.summary)].flatten(1)


VARIANTS = {"dinov2": OffsetPositions, "radio": CroppedPositions}


def resample_as(model: nn.Module, authors: str) -> None:
    """Make a ViT of timm resample its positions as the authors do that `positions` names."""
    if authors not in VARIANTS:
        raise SpecError(f"positions is {' or '.join(VARIANTS)}, not {str(authors)[:60]!r}")
    if type(model) is not VisionTransformer or not model.dynamic_img_size:
        raise BackboneError(f"positions={authors} is for ViTs of any image size, not for {type(model).__name__}")
    if authors == "radio" and not model.no_embed_class:
        raise BackboneError(
            "positions=radio is for ViTs without a position of the class token; add no_embed_class=true"
        )
    model.__class__ = VARIANTS[authors]


def summarise_by(model: nn.Module, tokens: Any) -> None:
    """Make the global feature of a ViT of RADIO these of its class tokens, one after the other."""
    if not isinstance(model, CroppedPositions):
        raise SpecError("summary_tokens is for ViTs with positions=radio")
    known = range(model.num_prefix_tokens)
    if not isinstance(tokens, (list, tuple)) or not tokens or any(token not in known for token in tokens):
        raise SpecError(f"summary_tokens is a list of numbers from 0 to {len(known) - 1}, not {str(tokens)[:60]}")
    model.summary = tuple(tokens)


def _offset_bicubic(table: Any, height: int, width: int) -> Tensor:
    side = round(table.shape[1] ** 0.5)
    if (height, width) == (side, side):
        return table
    grid = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((height + OFFSET) / side, (width + OFFSET) / side)
    grid = nn.functional.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    return grid.permute(0, 2, 3, 1).reshape(1, height * width, -1).to(table.dtype)


def _bilinear_crop(table: Any, height: int, width: int) -> Tensor:
    side, longer = round(table.shape[1] ** 0.5), max(height, width)
    if (height, width) == (side, side):
        return table
    grid = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(longer, longer), mode="bilinear", align_corners=False)
    return grid[:, :, :height, :width].flatten(2).mT.to(table.dtype)
