"""ViTs of timm with positions and tokens as their authors have them, where timm has them otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.eva import Eva
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


class BilinearPositions(Eva):
    """A Perception Encoder: its positions are resampled bilinearly, and its rotations never scaled."""

    def _pos_embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch, height, width, channels = x.shape
        assert self.pos_embed is not None
        prefix, table = self.pos_embed.split(
            [self.num_prefix_tokens, self.pos_embed.shape[1] - self.num_prefix_tokens], 1
        )
        table = torch.cat([prefix, _bilinear(table, height, width)], dim=1)
        tokens = [] if self.cls_token is None else [self.cls_token.expand(batch, -1, -1)]
        x = torch.cat([*tokens, x.reshape(batch, -1, channels)], dim=1) + table
        rope: Any = self.rope
        return self.pos_drop(x), rope.get_embed(shape=(height, width))


class StillPositions(Eva):
    """A V-JEPA 2 for images: clips of one moment, whose rows and columns rotate a third of each head each.

    A third belongs to the time, which is 0, and is not rotated, nor is the remainder.
    """

    def _pos_embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch, height, width, channels = x.shape
        heads: Any = self.blocks[0].attn
        rotations = _still_rotations(height, width, channels // heads.num_heads, x.device)
        return self.pos_drop(x.reshape(batch, -1, channels)), rotations.to(x.dtype)


VARIANTS: Mapping[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "dinov2": (VisionTransformer, OffsetPositions),
    "radio": (VisionTransformer, CroppedPositions),
    "perception": (Eva, BilinearPositions),
    "vjepa2": (Eva, StillPositions),
}


def resample_as(model: nn.Module, authors: str) -> None:
    """Make a ViT of timm resample its positions as the authors do that `positions` names."""
    if authors not in VARIANTS:
        raise SpecError(f"positions is {' or '.join(VARIANTS)}, not {str(authors)[:60]!r}")
    plain, variant = VARIANTS[authors]
    if type(model) is not plain or not model.dynamic_img_size:
        raise BackboneError(
            f"positions={authors} is for models of timm's {plain.__name__} that take any image size, not for this "
            f"{type(model).__name__}"
        )
    if refused := _lacking(model, authors):
        raise BackboneError(f"positions={authors} is for models {refused}")
    if authors == "perception":
        rope: Any = model.rope
        rope.ref_feat_shape = None
    model.__class__ = variant


def _lacking(model: Any, authors: str) -> str:
    """Return the models that a variant is for if this is none of them."""
    if authors == "radio" and not model.no_embed_class:
        return "without a position of the class token; add no_embed_class=true"
    if authors == "perception" and (model.pos_embed is None or model.rope is None or model.patch_drop is not None):
        return "with a table, rotations, and no dropped patches"
    if authors == "vjepa2" and (model.pos_embed is not None or model.num_prefix_tokens or model.patch_drop is not None):
        return "without a table, class token, registers and dropped patches"
    return ""


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
    longer = max(height, width)
    grid = _bilinear(table, longer, longer).unflatten(1, (longer, longer))
    return grid[:, :height, :width].flatten(1, 2)


def _bilinear(table: Any, height: int, width: int) -> Tensor:
    side = round(table.shape[1] ** 0.5)
    if (height, width) == (side, side):
        return table
    grid = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(height, width), mode="bilinear", align_corners=False)
    return grid.flatten(2).mT.to(table.dtype)


def _still_rotations(rows: int, columns: int, width: int, device: torch.device) -> Tensor:
    """Return sines and cosines [cells, 2 * width] of angles whose frequencies stand twice, one row after the other."""
    third = 2 * (width // 3 // 2)
    frequencies = 10000.0 ** -(torch.arange(third // 2, device=device) / (third / 2))
    numbers = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    angles = [(number.flatten()[:, None] * frequencies).repeat(1, 2) for number in numbers]
    still = torch.zeros(rows * columns, third, device=device)
    rest = torch.zeros(rows * columns, width - 3 * third, device=device)
    angle = torch.cat([still, *angles, rest], dim=1)
    return torch.cat([angle.sin(), angle.cos()], dim=1)
