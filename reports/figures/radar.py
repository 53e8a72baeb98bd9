"""Figure 1b as the paper draws it: a polygon for each of the top backbones, an axis for each task."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reports.building.table import Row, Table, cell_words
from reports.building.top_rows import top_rows
from reports.figures.figure import Sketch, hover
from reports.figures.style import TEXT_WIDTH, colours, drawing_canvas, markers, short_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing
    from matplotlib.text import Text

MIN_AXES = 3  # of a polygon
MAX_POLYGONS = 6  # that can be told apart


def task_radar(table: Table) -> Sketch | None:
    """Draw the rows of a finished table that have all values; None if fewer than two have, or it has few columns.

    On every axis the best row is at the rim, and the others at their share of it.
    """
    complete = [row for row in table.measured_rows if all(cell.value is not None for cell in row.cells)]
    rows = top_rows(complete, table.columns, MAX_POLYGONS)
    signs = [column.metric.higher_is_better for column in table.columns]
    values = [[float(cell.value or 0.0) for cell in row.cells] for row in rows]
    if len(rows) < 2 or len(signs) < MIN_AXES or any(value <= 0 for line in values for value in line):
        return None
    axes = [_shares([line[index] for line in values], higher) for index, higher in enumerate(signs)]
    return Sketch(
        f"{table.name}-radar",
        f"{table.heading}, as a radar",
        "On every axis the best backbone is at the rim, and the others at their share of its value; where less is "
        "better, at the best value's share of theirs. Only backbones with all values."
        + (f" Of {len(complete)} the {MAX_POLYGONS} with the best mean place." if len(complete) > len(rows) else ""),
        _draw,
        {
            "names": [row.name for row in rows],
            "headings": [column.heading for column in table.columns],
            "shares": [list(shares) for shares in zip(*axes, strict=True)],
            "hover": [_words(row, table) for row in rows],
        },
    )


def _words(row: Row, table: Table) -> list[str]:
    """Return the words of a row's point on each axis."""
    cells = zip(row.cells, table.columns, strict=True)
    return [f"{row.name}, {column.heading}: {cell_words(cell, column)}" for cell, column in cells]


def _shares(values: Sequence[float], higher_is_better: bool) -> list[float]:
    """Return the share of each value in the best one, 1 for the best."""
    best = max(values) if higher_is_better else min(values)
    return [value / best if higher_is_better else best / value for value in values]


def _beside_rim(label: Text, angle: float) -> None:
    """Let a heading end or begin at the rim, so that it covers nothing; the first axis points up, the next right."""
    side, height = round(math.sin(angle), 6), round(math.cos(angle), 6)
    label.set_horizontalalignment("left" if side > 0 else "right" if side < 0 else "center")
    label.set_verticalalignment("bottom" if height > 0 else "top" if height < 0 else "center")


def _points(angles: Sequence[float], shows: Any) -> Iterator[tuple[float, float, str]]:
    """Yield the place of each point, and its words."""
    for shares, words in zip(shows["shares"], shows["hover"], strict=True):
        yield from zip(angles, shares, words, strict=True)


def _draw(shows: Any) -> Drawing:
    from matplotlib.ticker import MaxNLocator

    drawing = drawing_canvas(TEXT_WIDTH, 4.0)
    axes: Any = drawing.add_subplot(projection="polar")
    count = len(shows["headings"])
    angles = [2 * math.pi * index / count for index in range(count)]
    looks = zip(
        short_names(shows["names"]), shows["shares"], colours(MAX_POLYGONS), markers(MAX_POLYGONS), strict=False
    )
    for name, shares, colour, marker in looks:
        axes.plot([*angles, angles[0]], [*shares, shares[0]], color=colour, marker=marker, ms=4, lw=1.2, label=name)
    for angle, share, words in _points(angles, shows):
        hover(axes.scatter(angle, share, s=60, alpha=0), words)
    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_xticks(
        angles, ["\n".join(textwrap.wrap(text, 20, break_on_hyphens=False)) for text in shows["headings"]], fontsize=7
    )
    axes.set_ylim(max(0.0, min(map(min, shows["shares"])) - 0.1), 1.0)
    axes.tick_params(axis="x", pad=2)
    for label, angle in zip(axes.get_xticklabels(), angles, strict=True):
        _beside_rim(label, angle)
    axes.set_yticks([tick for tick in MaxNLocator(4).tick_values(*axes.get_ylim()) if axes.get_ylim()[0] < tick <= 1])
    axes.tick_params(axis="y", labelsize=6)
    drawing.legend(loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return drawing
