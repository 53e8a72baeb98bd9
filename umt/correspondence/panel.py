"""A picture of the keypoints of a pair for people: source, and target with their true and with their found places."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from umt.panels import Panel, hex_colour, side_by_side

TILES = ("image", "truth", "prediction")
COLOURS = "hsv"
SIDE, RADIUS = 256, 4  # pixels of a tile, and of the dot of a keypoint
RIGHT, WRONG = (255, 255, 255), (0, 0, 0)  # the ring around a dot

Colour = tuple[int, int, int]


def keypoint_panel(
    source: np.ndarray, target: np.ndarray, points: tuple[np.ndarray, np.ndarray, np.ndarray], right: np.ndarray
) -> Panel:
    """Draw a dot of its own colour for each keypoint; its ring is white if the prediction is right.

    source, target: RGB bytes [S, S, 3]. points: of the source, true and predicted, in shares of the square [K, 2].
    """
    shares = np.linspace(0, 1, len(right), endpoint=False)
    colours = [(red, green, blue) for red, green, blue, _ in colormaps[COLOURS](shares, bytes=True).tolist()]
    rings = [RIGHT if hit else WRONG for hit in right]
    photo = _dotted(source, points[0], colours, list(repeat(RIGHT, len(colours))))
    truth = _dotted(target, points[1], colours, list(repeat(RIGHT, len(colours))))
    prediction = _dotted(target, points[2], colours, rings)
    legend = {"right (ring)": hex_colour(RIGHT), "wrong (ring)": hex_colour(WRONG)}
    return Panel(side_by_side(photo, (truth, prediction)), legend)


def _dotted(pixels: np.ndarray, points: np.ndarray, colours: Sequence[Colour], rings: Sequence[Colour]) -> np.ndarray:
    """Return a square image at the size of a tile, with a dot and its ring at each point."""
    tile = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    drawing = ImageDraw.Draw(tile)
    for (x, y), colour, ring in zip(SIDE * points, colours, rings, strict=True):
        box = (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
        drawing.ellipse(box, fill=colour, outline=ring, width=1)
    return np.asarray(tile)
