"""Panels for people: tiles of one size side by side in one picture, which a page cuts apart again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

PICTURED = 4  # test images of a result
MAX_TILE_WIDTH = 320  # pixels: a page shows a tile no larger, and eight backbones beside each other


@dataclass(frozen=True)
class Panel:
    """A picture of tiles, and its colours as #rrggbb by their meaning."""

    pixels: np.ndarray  # RGB bytes [h, w, 3]
    legend: Mapping[str, str]


def pictured(count: int) -> range:
    """Return the indices of the test images that have a panel: a few of them, evenly spaced."""
    return range(0, count, max(1, count // PICTURED))[:PICTURED]


def side_by_side(photo: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return a photograph and maps of it, RGB bytes [H, W, 3], as tiles of one size in one picture.

    A larger photograph is averaged; of a map, whose colours have a meaning, pixels are left out.
    """
    height, width = photo.shape[:2]
    wide = min(width, MAX_TILE_WIDTH)
    size = (wide, max(1, round(height * wide / width)))
    tiles = [Image.fromarray(photo).resize(size, Image.Resampling.BOX)]
    tiles += [Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST) for pixels in maps]
    return np.concatenate([np.asarray(tile) for tile in tiles], axis=1)


def hex_colour(colour: Iterable[int]) -> str:
    """Return RGB bytes as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def panel_details(tiles: Sequence[str], panels: Mapping[str, Panel]) -> dict[str, Any]:
    """Return the description of panels in a result: the tiles' names, and the legend of each panel."""
    return {"panels": {"tiles": list(tiles), "legends": {name: dict(panel.legend) for name, panel in panels.items()}}}
