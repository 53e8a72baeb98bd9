"""Drawings of an analysis: a sheet of pictures, and the heat map of a pair of backbones."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage

from reports.figures.figure import Figure, rendered
from umt.analysis.cka import CkaTable
from umt.analysis.compare import PairCka

MAX_NUMBERED_MAPS = 12  # maps a side of a heat map with numbers; of more they would not be readable
COLOURS = "cividis"  # grows in lightness, and looks the same to the colour-blind
PICTURE_INCHES = 2.4  # side of a picture
MAX_HEADING_LETTERS = 36  # letters of a heading that fit beside a picture; a file's name goes on in the next line


@dataclass(frozen=True)
class SheetPanel:
    """A picture: RGB [H, W, 3] in [0, 1], or values [H, W] that are coloured between their extremes."""

    pixels: np.ndarray
    note: str  # below it


@dataclass(frozen=True)
class SheetRow:
    """A row of the sheet."""

    heading: str
    panels: Sequence[SheetPanel]


def sheet(name: str, title: str, caption: str, columns: Sequence[str], rows: Sequence[SheetRow]) -> Figure:
    """Draw a sheet: images at resolutions down, backbones across; each row has a panel for each column."""
    size = (PICTURE_INCHES * len(columns) + 0.5, (PICTURE_INCHES + 0.25) * len(rows) + 0.7)
    drawing = Drawing(figsize=size, layout="constrained")
    every = drawing.subplots(len(rows), len(columns), squeeze=False)
    for row, line in zip(rows, every, strict=True):
        for axes, panel in zip(line, row.panels, strict=True):
            _draw(axes, panel)
        line[0].set_ylabel(_wrapped(row.heading), fontsize=7)
    for axes, column in zip(every[0], columns, strict=True):
        axes.set_title(_wrapped(column), fontsize=8)
    drawing.supxlabel(caption, fontsize=6, wrap=True)
    return rendered(name, title, caption, drawing, vector=False)


def _draw(axes: Axes, panel: SheetPanel) -> None:
    axes.imshow(panel.pixels, cmap=COLOURS, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(panel.note, fontsize=6)


def _wrapped(heading: str) -> str:
    return "\n".join(part for line in heading.splitlines() for part in textwrap.wrap(line, MAX_HEADING_LETTERS))


def heat_map(pair: PairCka, name: str) -> Figure:
    """Draw unbiased CKA of every map of the left with every map of the right: summary tokens, and patches."""
    drawing = Drawing(figsize=(9.5, 4.6), layout="constrained")
    axes = drawing.subplots(1, 2)
    rows, columns = pair.grid
    _layers(axes[0], pair, pair.summaries, f"summary tokens, {pair.summaries.samples} images")
    image = _layers(axes[1], pair, pair.patches, f"patches on {rows}x{columns}, {pair.patches.samples} tokens")
    drawing.colorbar(image, ax=axes, shrink=0.8, label="linear CKA, unbiased")
    pooled = float(pair.pooled.unbiased[0, 0])
    title = f"{pair.left.label} and {pair.right.label}: pooled features {pooled:.3f}"
    drawing.suptitle(title, fontsize=10)
    return rendered(name, title, "Unbiased linear CKA of every pair of maps.", drawing, vector=False)


def _layers(axes: Axes, pair: PairCka, table: CkaTable, title: str) -> AxesImage:
    values = table.unbiased
    image = axes.imshow(values.numpy(), cmap=COLOURS, vmin=0, vmax=1, origin="lower", aspect="auto")
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(f"map of {pair.right.label}", fontsize=8)
    axes.set_ylabel(f"map of {pair.left.label}", fontsize=8)
    axes.set_xticks(range(len(pair.right.maps)), [str(index) for index in pair.right.maps], fontsize=7)
    axes.set_yticks(range(len(pair.left.maps)), [str(index) for index in pair.left.maps], fontsize=7)
    if max(values.shape) <= MAX_NUMBERED_MAPS:
        for row, line in enumerate(values.tolist()):
            for column, value in enumerate(line):
                colour = "white" if value < 0.5 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
    return image
