"""Training curves of distillations: every loss over the steps, a panel for each student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.figure import Sketch, hover_line
from reports.figures.style import colours, logarithmic, panels
from reports.results.students import StudentMeasurement
from umt.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

SUM = "loss"


def training_curves(measurements: Sequence[StudentMeasurement]) -> Sketch | None:
    """Draw the curves that checkpoints of the students hold; None if none holds any."""
    students = {item.student.digest: item.student for item in measurements if item.student.curve}
    if not students:
        return None
    return Sketch(
        "distillation-curves",
        "Losses of the distillations",
        "Means between the points, on a logarithmic scale. Feature losses drawn through, model token losses dashed.",
        _draw,
        [[printable(f"{student.recipe}: {student.architecture}"), student.curve] for student in students.values()],
    )


def _draw(shows: Any) -> Drawing:
    drawing, axes = panels(len(shows), height=2.8)
    for panel, (title, curve) in zip(axes, shows, strict=True):
        _curves(panel, curve)
        panel.set_title(title, fontsize=8)
    return drawing


def _curves(axes: Axes, curve: Mapping[str, Sequence[float]]) -> None:
    names = [name for name in curve if name not in ("step", SUM)]
    spaces = list(dict.fromkeys(name.rpartition(" ")[0] for name in names))
    palette = dict(zip(spaces, colours(len(spaces)), strict=True))
    for name in names:
        space, _, part = name.rpartition(" ")
        style = "--" if part == "token" else "-"
        (line,) = axes.plot(curve["step"], curve[name], color=palette[space], ls=style, lw=1, label=printable(name))
        hover_line(line, printable(name))
    if SUM in curve:
        (line,) = axes.plot(curve["step"], curve[SUM], color="#888888", lw=2, label="all that is minimised")
        hover_line(line, "all that is minimised")
    logarithmic(axes, "y")
    axes.set_xlabel("step", fontsize=7)
    axes.tick_params(which="both", labelsize=7)
    axes.legend(fontsize=6, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
