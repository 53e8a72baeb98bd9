"""Mosaics: several views in one picture, for teachers that are best, or can only be run, at a large size (AM-RADIO)."""

from __future__ import annotations

import torch
from torch import Tensor

from umt.backbones.contract import Features


def tiled(images: Tensor, side: int) -> Tensor:
    """Put `side` x `side` images into each picture, row by row: [B, 3, R, R] -> [ceil(B / side^2), 3, side R, side R].

    A last picture that is not full is filled up with the first images.
    """
    count, channels, height, width = images.shape
    pictures = -(-count // side**2)
    tiles = images[torch.arange(pictures * side**2, device=images.device) % count]
    rows = tiles.view(pictures, side, side, channels, height, width).permute(0, 3, 1, 4, 2, 5)
    return rows.reshape(pictures, channels, side * height, side * width)


def untiled(fmap: Tensor, side: int, count: int) -> Tensor:
    """Return the map of each of `count` images: [P, C, side H, side W] -> [count, C, H, W]; the inverse of `tiled`."""
    pictures, channels, height, width = fmap.shape
    cells = fmap.view(pictures, channels, side, height // side, side, width // side).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(-1, channels, height // side, width // side)[:count]


def features_of_tiles(features: Features, side: int, count: int) -> Features:
    """Return the features of each image of the pictures: its cells, and their mean instead of the picture's vector."""
    maps = [untiled(fmap, side, count) for fmap in features.maps]
    return Features(maps[-1].mean(dim=(2, 3)), None, maps)
