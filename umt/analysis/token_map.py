"""The tokens of one image at any resolution: whole, or in overlapping tiles if attention would grow too large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from umt.backbones.contract import Backbone, Features
from umt.errors import NotFiniteError, OptionError

OVERLAP = 8  # neighbouring tiles share about an eighth of their side, rounded to patches


@dataclass(frozen=True)
class TokenMap:
    """A map of a backbone for one image, and the token that sums it up; float32 on the CPU."""

    fmap: Tensor  # [C, H, W]
    summary: Tensor  # [C]
    summary_is: str  # "class token", "pooled feature" or "mean of the map"
    side: int  # pixels of the image
    tiles: int  # 1 if the image went through as a whole


@torch.no_grad()
def token_map(backbone: Backbone, image: Tensor, max_tokens: int, index: int = -1) -> TokenMap:
    """Return a token map of an image [3, R, R] in [0, 1], R a multiple of the backbone's size multiple.

    index: of the map, -1 for the last; those of a CNN become finer towards the first.

    A backbone whose maps all have one stride attends between all tokens. Beyond `max_tokens` its image is cut into
    tiles that fit and overlap; tokens in an overlap are averaged with weights that fall towards the edges of the tiles,
    and the summary tokens are averaged as well. Others, CNNs among them, take the image whole.
    Raises UMTError if a token is not finite.
    """
    last = _position(backbone, index) == backbone.depth - 1
    side, stride = image.shape[-1], backbone.strides[index]
    tile = _tile_side(backbone, side, max_tokens)
    starts = _starts(side, tile, backbone.preprocess.size_multiple)
    total = torch.zeros(backbone.channels[index], side // stride, side // stride)
    weights, summaries = torch.zeros(total.shape[1:]), []
    hat = _hat(tile // stride)
    for top, left in ((top, left) for top in starts for left in starts):
        features = backbone(image[None, :, top : top + tile, left : left + tile], (index,))
        rows, columns = (slice(start // stride, (start + tile) // stride) for start in (top, left))
        total[:, rows, columns] += hat * features.maps[0][0].float().cpu()
        weights[rows, columns] += hat
        name, summary = _summary(features) if last else _early_summary(features)
        summaries.append(summary)
    fmap, token = total / weights, torch.stack(summaries).mean(dim=0)
    if not (fmap.isfinite().all() and token.isfinite().all()):
        raise NotFiniteError(
            f"backbone '{backbone.spec}' gives tokens that are not finite at {side} px; check its weights"
        )
    return TokenMap(fmap, token, name, side, len(summaries))


def _position(backbone: Backbone, index: int) -> int:
    """Return which map an index means; UMTError if the backbone has no such map."""
    if not -backbone.depth <= index < backbone.depth:
        raise OptionError(f"--map {index}: backbone '{backbone.spec}' has {backbone.depth} maps; the last one is -1")
    return index % backbone.depth


def _tile_side(backbone: Backbone, side: int, max_tokens: int) -> int:
    stride, multiple = backbone.strides[-1], backbone.preprocess.size_multiple
    if len(set(backbone.strides)) > 1 or (side // stride) ** 2 <= max_tokens:
        return side
    tile = int(max_tokens**0.5) * stride // multiple * multiple
    if tile == 0:
        raise OptionError(
            f"--max-tokens {max_tokens}: fewer than an image has; give at least {(multiple // stride) ** 2}"
        )
    return tile


def _starts(side: int, tile: int, multiple: int) -> list[int]:
    """Return the first pixels of the tiles along one side: evenly spaced, at multiples of the patch."""
    if tile == side:
        return [0]
    step = max(tile - tile // OVERLAP, multiple)
    count = -(-(side - tile) // step) + 1
    return list(_even(side - tile, count, multiple))


def _even(last: int, count: int, multiple: int) -> Iterator[int]:
    return (last * index // (count - 1) // multiple * multiple for index in range(count))


def _hat(cells: int) -> Tensor:
    """Return the weights of the cells of a tile [cells, cells], greatest in the middle."""
    rising = torch.arange(1.0, cells + 1)
    side = torch.minimum(rising, rising.flip(0))
    return torch.outer(side, side)


def _summary(features: Features) -> tuple[str, Tensor]:
    """Return the token that stands for the whole image, as wide as the map, with its name."""
    width = features.maps[0].shape[1]
    if features.cls is not None:
        return "class token", features.cls[0].float().cpu()
    if features.pooled.shape[1] == width:
        return "pooled feature", features.pooled[0].float().cpu()
    return "mean of the map", features.maps[0][0].float().mean(dim=(1, 2)).cpu()


def _early_summary(features: Features) -> tuple[str, Tensor]:
    """Return the token that stands for the whole image in a map before the last."""
    name = "class token of the map" if features.map_cls is not None else "mean of the map"
    return name, features.summary(0)[0].float().cpu()
