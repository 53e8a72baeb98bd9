"""A picture of one segmentation for people: image, prediction and truth in the data set's colours, with their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

SIZE = (11.0, 2.6)  # inches
DPI = 80
MAX_LEGEND_CLASSES = 12  # classes in the legend, the largest ones
UNLABELLED = (0, 0, 0)  # a colour that ADE20K's palette does not have


def segmentation_panel(
    image: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """Draw three pictures side by side as RGB bytes [h, w, 3], with the names of the largest classes in the last two.

    image: RGB bytes [H, W, 3]. prediction, truth: class indices [H, W]; other values are black. palette: RGB bytes
    of each class.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    pictures = {"image": image, "prediction": paint(prediction, palette), "truth": paint(truth, palette)}
    for axes, (title, pixels) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    handles = [
        Patch(facecolor="#{:02x}{:02x}{:02x}".format(*palette[label]), label=names[label])
        for label in largest(prediction, truth, classes=len(names))
    ]
    figure.legend(handles=handles, loc="outside right center", fontsize=7, frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def paint(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Return class indices [H, W] as RGB bytes [H, W, 3]."""
    colours = np.full((256, 3), UNLABELLED, np.uint8)
    colours[: len(palette)] = palette
    return colours[labels]


def largest(prediction: np.ndarray, truth: np.ndarray, classes: int) -> list[int]:
    """Return the classes that cover most of both pictures, at most `NAMED`, largest first."""
    counts = sum(np.bincount(labels.ravel(), minlength=256)[:classes] for labels in (prediction, truth))
    order = np.argsort(-np.asarray(counts), kind="stable")[:MAX_LEGEND_CLASSES]
    return [int(label) for label in order if np.asarray(counts)[label]]
