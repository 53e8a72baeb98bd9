"""The critical-difference diagram (Demšar 2006): average ranks on a line, and a bar over those that are not apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.figure import Sketch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ROW = 0.28  # inches a name
BAR_STEP = 0.35  # rows between two bars


def critical_difference_diagram(
    names: Sequence[str], ranks: Sequence[float], difference: float, columns: int
) -> Sketch:
    """Draw the average ranks over so many columns; lower is better."""
    order = sorted(range(len(names)), key=lambda index: (ranks[index], names[index]))
    shows = {
        "names": [names[index] for index in order],
        "ranks": [ranks[index] for index in order],
        "difference": difference,
        "bars": bars([ranks[index] for index in order], difference),
    }
    caption = (
        f"Average rank over {columns} columns, 1 is best. A bar joins backbones whose ranks differ by less than "
        f"Nemenyi's critical difference of {difference:.2f}."
    )
    return Sketch("compare-ranks", "Average ranks", caption, _draw, shows)


def bars(ranks: Sequence[float], difference: float) -> list[list[int]]:
    """Return first and last index of each longest run of sorted ranks that are not apart, of two or more."""
    runs: list[list[int]] = []
    for first, rank in enumerate(ranks):
        last = max(index for index, next_rank in enumerate(ranks) if next_rank - rank < difference or index == first)
        if last > first and (not runs or last > runs[-1][1]):
            runs.append([first, last])
    return runs


def _draw(shows: Any) -> Drawing:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.use("Agg")  # pictures go to files, also if there is a screen
    names = shows["names"]
    rows = -(-len(names) // 2)
    head = 1 + BAR_STEP * len(shows["bars"])
    drawing = Figure(figsize=(7.0, ROW * (rows + head + 3)), layout="constrained")
    axes = drawing.subplots()
    axes.set_axis_off()
    _axis(axes, len(names), shows["difference"])
    for index, (first, last) in enumerate(shows["bars"]):
        height = 0.6 + BAR_STEP * index
        axes.plot([shows["ranks"][first], shows["ranks"][last]], [height, height], color="black", linewidth=3)
    for index, (name, rank) in enumerate(zip(names, shows["ranks"], strict=True)):
        _label(axes, name, rank, index, len(names), head)
    axes.set_ylim(head + rows + 0.5, -2)
    return drawing


def _axis(axes: Axes, count: int, difference: float) -> None:
    """Draw the line of ranks, and the critical difference above it."""
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, -0.2], color="black", linewidth=1)
        axes.text(rank, -0.3, str(rank), ha="center", va="bottom", fontsize=8)
    axes.plot([1, 1 + difference], [-1.4, -1.4], color="black", linewidth=2)
    axes.text(1 + difference / 2, -1.5, f"critical difference {difference:.2f}", ha="center", va="bottom", fontsize=7)


def _label(axes: Axes, name: str, rank: float, index: int, count: int, head: float) -> None:
    """Draw a name left of the ranks for the better half, right of them for the others."""
    is_left = index < -(-count // 2)
    row = head + (index if is_left else count - 1 - index)
    margin = 0.15 * max(count - 1, 1)
    end = 1 - margin if is_left else count + margin
    axes.plot([rank, rank, end], [0, row, row], color="0.4", linewidth=0.8)
    text = f"{name}  {rank:.2f}" if is_left else f"{rank:.2f}  {name}"
    axes.text(end, row, f" {text} ", ha="right" if is_left else "left", va="center", fontsize=8)
