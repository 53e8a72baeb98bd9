"""A sheet of pictures: images at resolutions down, backbones across."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from reports.figures.figure import Figure, rendered

COLOURS = "cividis"  # grows in lightness, and looks the same to the colour-blind
INCHES = 2.4  # of a picture
LETTERS = 36  # of a heading that fit beside a picture; a file's name goes on in the next line


@dataclass(frozen=True)
class Panel:
    """A picture: RGB [H, W, 3] in [0, 1], or values [H, W] that are coloured between their extremes."""

    pixels: np.ndarray
    note: str  # below it


@dataclass(frozen=True)
class Line:
    """A row of the sheet."""

    heading: str
    panels: Sequence[Panel]


def sheet(name: str, title: str, caption: str, columns: Sequence[str], lines: Sequence[Line]) -> Figure:
    """Draw a sheet of pictures; every line has a panel for each column."""
    size = (INCHES * len(columns) + 0.5, (INCHES + 0.25) * len(lines) + 0.7)
    drawing = Drawing(figsize=size, layout="constrained")
    every = drawing.subplots(len(lines), len(columns), squeeze=False)
    for line, row in zip(lines, every, strict=True):
        for axes, panel in zip(row, line.panels, strict=True):
            _draw(axes, panel)
        row[0].set_ylabel(_wrapped(line.heading), fontsize=7)
    for axes, column in zip(every[0], columns, strict=True):
        axes.set_title(_wrapped(column), fontsize=8)
    drawing.supxlabel(caption, fontsize=6, wrap=True)
    return rendered(name, title, caption, drawing)


def _draw(axes: Axes, panel: Panel) -> None:
    axes.imshow(panel.pixels, cmap=COLOURS, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(panel.note, fontsize=6)


def _wrapped(heading: str) -> str:
    return "\n".join(part for line in heading.splitlines() for part in textwrap.wrap(line, LETTERS))
