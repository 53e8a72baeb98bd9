"""A picture of one depth prediction for people: image, truth, prediction and error on one scale."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

from umt.panels import Panel, hex_colour, side_by_side

TILES = ("image", "truth", "prediction", "error")
COLOURS = "turbo"
NOT_MEASURED = (153, 153, 153)  # a grey that the colours of depth do not have
LEGEND = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the farthest depth that the legend names


def depth_panel(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> Panel:
    """Draw four tiles; the colours go from 0 to the farthest truth, so that all predictions of an image share them.

    image: RGB bytes [H, W, 3]. prediction, truth: metres [H, W]; truth 0 is not measured: it and its error are grey.
    """
    measured = truth > 0
    farthest = float(truth.max()) or float(prediction.max()) or 1.0
    error = np.abs(prediction - truth)
    maps = (_paint(truth, farthest, measured), _paint(prediction, farthest), _paint(error, farthest, measured))
    legend = {f"{share * farthest:.1f} m": hex_colour(_paint(np.array(share), 1.0)) for share in LEGEND}
    return Panel(side_by_side(image, maps), {**legend, "not measured": hex_colour(NOT_MEASURED)})


def _paint(metres: np.ndarray, farthest: float, measured: np.ndarray | bool = True) -> np.ndarray:
    """Return metres [...] as RGB bytes [..., 3]."""
    colours = colormaps[COLOURS](np.clip(metres / farthest, 0, 1), bytes=True)
    painted: np.ndarray = np.where(np.asarray(measured)[..., None], np.asarray(colours)[..., :3], NOT_MEASURED)
    return painted.astype(np.uint8)
