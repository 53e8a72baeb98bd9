"""A picture of the normals of an image for people, in the usual colours of directions."""

from __future__ import annotations

import numpy as np

from umt.panels import Panel, hex_colour, side_by_side

TILES = ("image", "truth", "prediction")
NOT_MEASURED = (0, 0, 0)
DIRECTIONS = {"to the camera": (0, 0, -1), "right": (1, 0, 0), "up": (0, -1, 0), "left": (-1, 0, 0)}


def normals_panel(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> Panel:
    """Draw three tiles of an image, RGB bytes [H, W, 3], and directions [H, W, 3]; a truth of 0 is black."""
    legend = {name: hex_colour(paint(np.array(vector, float))) for name, vector in DIRECTIONS.items()}
    return Panel(
        side_by_side(image, [paint(truth), paint(prediction)]), {**legend, "no normal": hex_colour(NOT_MEASURED)}
    )


def paint(directions: np.ndarray) -> np.ndarray:
    """Return directions [..., 3] as RGB bytes: right is red, up is green, to the camera is blue."""
    length = np.linalg.norm(directions, axis=-1, keepdims=True)
    unit = directions / np.maximum(length, 1e-12) * np.array([1, -1, -1])
    return np.where(length > 0, np.round((unit + 1) * 127.5), NOT_MEASURED).astype(np.uint8)
