"""The figures: the numbers of the tables, in colours and marks that can be told apart."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Drawing
from PIL import Image

from reports.building.metrics import METRICS
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.figures import curves, figure, radar, speed, tasks
from reports.figures.figure import Sketch, finished, rendered
from reports.figures.style import COLOURS, logarithmic, panels, short_names
from reports.results.students import students_of


def made(name: str, metrics: list[str], values: dict[str, list[float | None]]) -> Table:
    columns = tuple(TableColumn(metric, METRICS[metric]) for metric in metrics)
    rows = tuple(
        Row((label,), tuple(Cell() if value is None else Cell(f"{value}", value) for value in line))
        for label, line in values.items()
    )
    return Table(name, name, "", "", ("Backbone",), columns, (Group("", rows),), ())


def drawing_of(sketch: Sketch | None) -> Drawing:
    """Drawn from what the JSON of it holds, as after a journey through a file."""
    assert sketch is not None
    return sketch.draw(json.loads(json.dumps(sketch.shows)))


def test_bars_are_as_long_as_the_values() -> None:
    drawing = drawing_of(
        tasks.task_bars(made("t", ["top1", "rmse"], {"a": [80.0, 0.5], "b": [40.0, None], "c": [60.0, 0.4]}))
    )
    accuracy, rmse = drawing.axes[:2]
    assert [bar.get_width() for bar in accuracy.patches] == [80.0, 40.0, 60.0]  # type: ignore[attr-defined]
    assert [bar.get_width() for bar in rmse.patches] == [0.5, 0.0, 0.4]  # type: ignore[attr-defined]
    assert {bar.get_x() for bar in accuracy.patches} == {0.0}, "a bar that does not begin at zero lies"  # type: ignore[attr-defined]


def test_names_stand_once_a_row_and_numbers_inside_their_panel() -> None:
    seeds = Cell("1.111 ± 0.011", 1.111, 0.011, 3, best=True)
    columns = tuple(TableColumn(f"set {index}", METRICS["rmse"]) for index in range(3))
    rows = (Row(("EfficientNet-Lite0",), (seeds,) * 3),) * 2
    drawing = drawing_of(tasks.task_bars(Table("t", "t", "", "", ("B",), columns, (Group("", rows),), ())))
    drawing.draw_without_rendering()
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in drawing.axes]
    assert names == [["EfficientNet-Lite0"] * 2, [], []]
    for axes in drawing.axes:
        ends = [text.get_window_extent().x1 for text in axes.texts]
        assert len(ends) == 2
        assert max(ends) <= axes.get_window_extent().x1


def test_titles_beside_each_other_do_not_touch() -> None:
    columns = tuple(TableColumn(f"WWW-101 layout, 4722 items, ok {index}", METRICS["top1"]) for index in range(5))
    rows = (Row(("A backbone of a long name",), (Cell("80.0", 80.0),) * 5),) * 2
    drawing = drawing_of(tasks.task_bars(Table("t", "t", "", "", ("B",), columns, (Group("", rows),), ())))
    drawing.draw_without_rendering()
    titles = [axes.title.get_window_extent() for axes in drawing.axes[:5]]
    assert all(left.x1 < right.x0 or left.y0 > right.y1 for left, right in pairwise(titles))


def test_bars_of_zeros_have_an_axis_of_plain_numbers() -> None:
    drawing = drawing_of(tasks.task_bars(made("t", ["top1"], {"a": [0.0], "b": [0.0]})))
    assert max(drawing.axes[0].get_xticks()) >= 1


def test_no_axis_of_percent_goes_beyond_a_hundred() -> None:
    drawing = drawing_of(tasks.task_bars(made("t", ["top1", "rmse"], {"a": [99.0, 99.0], "b": [40.0, 120.0]})))
    percent, metres = (max(axes.get_xticks()) for axes in drawing.axes[:2])
    assert percent == 100
    assert metres > 100


@pytest.mark.parametrize("ends", [(700, 1800), (990, 1010), (20, 99), (3, 5000)])
def test_a_logarithmic_axis_says_its_scale_however_short_it_is(ends: tuple[float, float]) -> None:
    _, (axes,) = panels(1, height=2)
    axes.plot(ends, [0, 1])
    logarithmic(axes, "x")
    low, high = axes.get_xlim()
    assert low < ends[0] < ends[1] < high
    assert 2 <= sum(low <= tick <= high for tick in axes.get_xticks()) <= 12


def test_points_are_speed_and_value_of_the_same_backbone() -> None:
    values = made("t", ["top1", "rmse"], {"a": [80.0, 0.5], "b": [40.0, None], "c": [60.0, 0.4]})
    costs = made("c", ["gmacs", "images_per_second"], {"c": [1.0, 300.0], "a": [2.0, 100.0], "b": [3.0, 200.0]})
    accuracy, rmse = drawing_of(speed.speed_scatter(values, costs)).axes[:2]
    points = sorted(tuple(points.get_offsets().data[0]) for points in accuracy.collections)  # type: ignore[union-attr]
    assert points == [(100.0, 80.0), (200.0, 40.0), (300.0, 60.0)]
    assert len(rmse.collections) == 2
    assert rmse.yaxis_inverted(), "better is up"


def test_curves_are_those_of_the_checkpoint(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    said = provenance()
    said["curve"] = {"step": [1, 2], "loss": [3, 2], "cls feature": [1, 0.5], "cls token": [2, 1.5]}
    seen = students_of([measurement(cub, 80.0, provenance=said), measurement(cub, 81.0, provenance=said, seed=1)])
    drawing = drawing_of(curves.training_curves(seen))
    (axes,) = drawing.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines == {"cls feature": [1, 0.5], "cls token": [2, 1.5], "all that is minimised": [3, 2]}
    drawing.draw_without_rendering()
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 < axes.get_window_extent().y0, "it hides no curve"


def test_nothing_to_compare_is_no_figure(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    alone = made("t", ["top1"], {"a": [80.0], "b": [None]})
    assert tasks.task_bars(alone) is None
    assert speed.speed_scatter(alone, made("c", ["images_per_second"], {"a": [1.0], "b": [2.0]})) is None
    assert curves.training_curves(students_of([measurement(cub, 80.0, provenance=provenance())])) is None


def test_pictures_repeat_and_a_pdf_has_its_fonts_inside() -> None:
    def figure():  # type: ignore[no-untyped-def]
        drawing, (axes,) = panels(1, height=2)
        axes.set_title("Title")
        return rendered("f", "F", "", drawing)

    one, other = figure(), figure()
    assert one == other
    assert Image.open(BytesIO(one.png)).format == "PNG"
    assert b"/FontFile2" in one.pdf
    assert b"/Type3" not in one.pdf


def test_colours_are_told_apart_by_the_colour_blind() -> None:
    """Brettel's simulation in short: without red-green differences, lightness and blueness must still differ."""

    def seen(colour: str) -> tuple[float, float]:
        red, green, blue = (value**2.2 for value in to_rgb(colour))
        return (0.3 * red + 0.6 * green + 0.1 * blue) ** (1 / 2.2), blue ** (1 / 2.2)

    pairs = [(one, other) for index, one in enumerate(COLOURS) for other in COLOURS[:index]]
    for one, other in pairs:
        assert max(abs(a - b) for a, b in zip(seen(one), seen(other), strict=True)) > 0.05, (one, other)


def test_of_a_long_table_the_best_backbones_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean places from 0: c 1, b 1, d 2 for want of a second value, a 2.5."""
    monkeypatch.setattr(tasks, "MAX_BACKBONES", 2)
    monkeypatch.setattr(speed, "MAX_BACKBONES", 2)
    values = {"a": [40.0, 0.9], "b": [80.0, 0.4], "c": [60.0, 0.3], "d": [90.0, None]}
    table = made("t", ["top1", "rmse"], values)
    drawing = drawing_of(tasks.task_bars(table))
    assert [bar.get_width() for bar in drawing.axes[0].patches] == [80.0, 60.0]  # type: ignore[attr-defined]
    costs = made("c", ["images_per_second"], {name: [100.0] for name in "abce"})
    scatter = drawing_of(speed.speed_scatter(table, costs))
    points = sorted(tuple(points.get_offsets().data[0]) for points in scatter.axes[0].collections)  # type: ignore[union-attr]
    assert points == [(100.0, 60.0), (100.0, 80.0)]


def test_a_caption_says_how_many_backbones_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    table = made("t", ["top1"], {"a": [40.0], "b": [80.0], "c": [60.0]})
    said = "Of 3 backbones the 2 with the best mean place."
    assert said not in tasks.task_bars(table).caption  # type: ignore[union-attr]
    monkeypatch.setattr(tasks, "MAX_BACKBONES", 2)
    monkeypatch.setattr(speed, "MAX_BACKBONES", 2)
    assert said in tasks.task_bars(table).caption  # type: ignore[union-attr]


@pytest.fixture
def sketch() -> Sketch:
    found = tasks.task_bars(made("t", ["top1", "rmse"], {"a": [80.0, 0.5], "b": [40.0, 0.4]}))
    assert found is not None
    return found


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kinds of the pictures that are drawn from now on."""
    kinds: list[str] = []
    save = figure._saved
    monkeypatch.setattr(figure, "_saved", lambda drawing, kind, said: kinds.append(kind) or save(drawing, kind, said))
    return kinds


def write(one: figure.Figure, folder: Path) -> None:
    for name, content in one.files.items():
        (folder / name).write_bytes(content)


def test_a_figure_that_shows_the_same_is_not_drawn_again(sketch: Sketch, draws: list[str], tmp_path: Path) -> None:
    first = finished(sketch, tmp_path)
    write(first, tmp_path)
    again = finished(replace(sketch, caption="Another."), tmp_path)
    assert draws == ["png", "pdf", "svg"]
    assert again == replace(first, caption="Another.")


def test_other_values_are_drawn(sketch: Sketch, draws: list[str], tmp_path: Path) -> None:
    first = finished(sketch, tmp_path)
    write(first, tmp_path)
    other = tasks.task_bars(made("t", ["top1", "rmse"], {"a": [80.0, 0.5], "b": [40.1, 0.4]}))
    assert other is not None
    assert finished(other, tmp_path).png != first.png
    assert len(draws) == 6


@pytest.mark.parametrize("harm", ["no pdf", "no svg", "no png", "cut", "another picture", "link", "pipe"])
def test_pictures_that_are_not_those_of_a_report_are_drawn(
    sketch: Sketch, draws: list[str], tmp_path: Path, harm: str
) -> None:
    first = finished(sketch, tmp_path)
    write(first, tmp_path)
    png, pdf = tmp_path / "t-bars.png", tmp_path / "t-bars.pdf"
    if harm == "another picture":
        Image.new("RGB", (8, 8)).save(png)
    elif harm == "cut":
        png.write_bytes(first.png[:-1000])
    elif harm in ("link", "pipe"):
        pdf.rename(tmp_path / "elsewhere")
        pdf.symlink_to("elsewhere") if harm == "link" else os.mkfifo(pdf)
    else:
        (tmp_path / f"t-bars.{harm.removeprefix('no ')}").unlink()
    assert finished(sketch, tmp_path) == first
    assert len(draws) == 6


def test_an_axis_of_percent_is_drawn_to_a_hundred() -> None:
    drawing = drawing_of(tasks.task_bars(made("t", ["top1", "rmse"], {"a": [98.0, 0.5], "b": [40.0, 0.4]})))
    assert drawing.axes[0].spines["bottom"].get_bounds() == (0.0, 100)


def test_the_front_holds_what_no_other_beats() -> None:
    points = [(10.0, 80.0), (20.0, 70.0), (15.0, 60.0), (20.0, 65.0), (5.0, 80.0)]
    assert speed.pareto_front(points, higher=True) == [(20.0, 70.0), (10.0, 80.0)]
    assert speed.pareto_front(points, higher=False) == [(20.0, 65.0), (15.0, 60.0)]


def test_a_radar_has_the_best_at_the_rim() -> None:
    table = made(
        "t", ["top1", "rmse", "miou"], {"a": [80.0, 0.5, 40.0], "b": [40.0, 0.4, 50.0], "c": [90.0, None, 1.0]}
    )
    drawing = drawing_of(radar.task_radar(table))
    first, second = (line.get_ydata() for line in drawing.axes[0].lines)
    assert list(first) == pytest.approx([1.0, 0.8, 0.8, 1.0]), "the row without a value is not drawn"
    assert list(second) == pytest.approx([0.5, 1.0, 1.0, 0.5])


def test_a_radar_needs_three_axes_two_rows_and_values_above_zero() -> None:
    assert radar.task_radar(made("t", ["top1", "miou"], {"a": [1.0, 2.0], "b": [2.0, 3.0]})) is None
    assert radar.task_radar(made("t", ["top1", "miou", "rmse"], {"a": [1.0, 2.0, 3.0]})) is None
    assert radar.task_radar(made("t", ["top1", "miou", "rmse"], {"a": [0.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0]})) is None


def test_long_names_lose_their_middle_unless_two_would_be_equal() -> None:
    long = "student_vitb16_three_teachers_epoch_300.pth"
    assert short_names(["ViT-B", long]) == ["ViT-B", "student_vitb16_thre…ch_300.pth"]
    other = "student_vitb16_three_other_epoch_300.pth"
    assert short_names([long, other]) == [long, other]
