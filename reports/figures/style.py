"""The style of figures: colours that the colour-blind can tell apart, and a different mark for each backbone.

matplotlib takes longer to import than a report takes to make, so only the functions that draw import it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Looks = Mapping[str, tuple[str, str, str]]  # backbone -> colour, mark, short name
# Okabe and Ito 2008, without yellow, which is hard to see on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
SHORT_AXIS_RATIO = 5.0  # from end to end of a logarithmic axis: a shorter one may hold only one of 1, 2 and 5
MAX_BACKBONES = 16  # in a figure
TEXT_WIDTH = 6.875  # inches: both columns of CVPR and ICCV; ICML has 6.75, and NeurIPS one of 5.5
MAX_NAME = 30  # letters of a backbone's name beside a mark
MAX_TITLE = 28  # letters of a line above a panel
COLUMN_WIDTH = 3.25  # inches: one column there


def colours(count: int) -> list[str]:
    """Return a colour for each backbone; colours repeat after seven, and markers after eight."""
    return list(islice(cycle(COLOURS), count))


def markers(count: int) -> list[str]:
    """Return a marker for each backbone."""
    return list(islice(cycle(MARKERS), count))


def hatches(count: int) -> list[str]:
    """Return a hatch for each backbone, for a print without colours."""
    return list(islice(cycle(HATCHES), count))


def short_names(names: Sequence[str]) -> list[str]:
    """Return names without their middles, which names of files have too long; whole ones if two would be equal."""
    short = [name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 11]}…{name[-10:]}" for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


def drawing_canvas(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.use("Agg")  # pictures go to files, also if there is a screen
    return Figure(figsize=(width, height), layout="constrained")


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure as wide as a paper's text, or for one panel its column; three panels a row, of four two."""
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    drawing = drawing_canvas(TEXT_WIDTH if count > 1 else COLUMN_WIDTH, height * rows)
    axes = drawing.subplots(rows, columns, squeeze=False).flatten().tolist()
    for unused in axes[count:]:
        unused.set_axis_off()
    for used in axes[:count]:
        used.spines[["top", "right"]].set_visible(False)
    return drawing, axes[:count]


def line_panels(shows: Any, height: float, marks: Sequence[str], draw: Callable[[Axes, Any, Looks], None]) -> Figure:
    """Draw a panel's lines by `draw` with its heading and measure above it, and one legend of all backbones below.

    shows: {"names": backbones, "panels": [{"heading", "measure", "lines"}, ...]}. marks: of each backbone, beside its
    colour.
    """
    names, shown = shows["names"], shows["panels"]
    drawing, every = panels(len(shown), height)
    looks = dict(zip(names, zip(colours(len(names)), marks, short_names(names), strict=True), strict=True))
    for axes, panel in zip(every, shown, strict=True):
        draw(axes, panel, looks)
        axes.set_title("\n".join([*textwrap.wrap(panel["heading"], MAX_TITLE), panel["measure"]]), fontsize=8)
    handles = {line.get_label(): line for axes in every for line in axes.lines}
    drawing.legend(
        handles.values(), list(map(str, handles)), loc="outside lower center", ncols=3, fontsize=7, frameon=False
    )
    return drawing


def logarithmic(axes: Axes, direction: str) -> None:
    """Make axis 'x' or 'y' logarithmic, with plain numbers at 1, 2 and 5, or more of them on a short axis."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    (axes.set_xscale if direction == "x" else axes.set_yscale)("log")
    (axes.set_xmargin if direction == "x" else axes.set_ymargin)(0.1)
    low, high = axes.get_xlim() if direction == "x" else axes.get_ylim()
    axis = axes.xaxis if direction == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(4) if high < SHORT_AXIS_RATIO * low else LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
