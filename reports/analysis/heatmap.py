"""The layer-by-layer heat map of a pair of backbones."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage

from reports.figures.figure import Figure, rendered
from umt.analysis.cka import CkaTable
from umt.analysis.compare import PairCka

COLOURS = "cividis"  # grows in lightness, and looks the same to the colour-blind
NUMBERS_UP_TO = 12  # maps a side; more would not be readable


def heat_map(pair: PairCka, name: str) -> Figure:
    """Draw unbiased CKA of every map of the left with every map of the right: summary tokens, and patches."""
    drawing = Drawing(figsize=(9.5, 4.6), layout="constrained")
    axes = drawing.subplots(1, 2)
    rows, columns = pair.grid
    _panel(axes[0], pair, pair.summaries, f"summary tokens, {pair.summaries.samples} images")
    image = _panel(axes[1], pair, pair.patches, f"patches on {rows}x{columns}, {pair.patches.samples} tokens")
    drawing.colorbar(image, ax=axes, shrink=0.8, label="linear CKA, unbiased")
    pooled = float(pair.pooled.unbiased[0, 0])
    title = f"{pair.left.label} and {pair.right.label}: pooled features {pooled:.3f}"
    drawing.suptitle(title, fontsize=10)
    return rendered(name, title, "Unbiased linear CKA of every pair of maps.", drawing)


def _panel(axes: Axes, pair: PairCka, table: CkaTable, title: str) -> AxesImage:
    values = table.unbiased
    image = axes.imshow(values.numpy(), cmap=COLOURS, vmin=0, vmax=1, origin="lower", aspect="auto")
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(f"map of {pair.right.label}", fontsize=8)
    axes.set_ylabel(f"map of {pair.left.label}", fontsize=8)
    axes.set_xticks(range(len(pair.right.maps)), [str(index) for index in pair.right.maps], fontsize=7)
    axes.set_yticks(range(len(pair.left.maps)), [str(index) for index in pair.left.maps], fontsize=7)
    if max(values.shape) <= NUMBERS_UP_TO:
        for row, line in enumerate(values.tolist()):
            for column, value in enumerate(line):
                colour = "white" if value < 0.5 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
    return image
