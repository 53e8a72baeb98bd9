"""A sheet of images with a line of text below each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from reports.figures.figure import Figure, rendered
from reports.figures.style import panels

LINE = 34  # characters
HEIGHT = 3.0  # inches a row


def image_sheet(name: str, title: str, caption: str, images: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Draw images, RGB bytes [H, W, 3], each with its text."""
    drawing, every = panels(len(images), HEIGHT)
    for axes, (text, pixels) in zip(every, images, strict=True):
        axes.imshow(pixels)
        axes.set_axis_off()
        axes.set_title("\n".join(textwrap.wrap(text, LINE)), fontsize=7)
    return rendered(name, title, caption, drawing, vector=False)
