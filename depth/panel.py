"""A picture of one depth prediction for people: image, prediction, truth and error on one scale."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SIZE = (11.0, 2.4)  # inches
DPI = 80
NOT_MEASURED = "0.6"  # a grey that the colours of depth do not have


def depth_panel(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draw four pictures side by side as RGB bytes [h, w, 3], with one colour bar in metres for the last three.

    image: RGB bytes [H, W, 3]. prediction, truth: metres [H, W]; truth 0 is not measured: it and its error are grey.
    """
    measured = truth > 0
    maps = {
        "prediction": prediction,
        "truth": np.where(measured, truth, np.nan),
        "error": np.where(measured, np.abs(prediction - truth), np.nan),
    }
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(maps))
    axes[0].imshow(image)
    axes[0].set_title("image", fontsize=9)
    colours = colormaps["turbo"].with_extremes(bad=NOT_MEASURED)
    farthest = float(max(prediction.max(), truth.max()))
    for panel, (name, values) in zip(axes[1:], maps.items(), strict=True):
        shown = panel.imshow(values, cmap=colours, vmin=0.0, vmax=farthest, interpolation="nearest")
        panel.set_title(name, fontsize=9)
    for panel in axes:
        panel.set_axis_off()
    figure.colorbar(shown, ax=list(axes), label="m", shrink=0.9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
