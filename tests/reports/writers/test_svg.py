"""A drawing inside a page: harmless, in the page's colours, with values for the pointer."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure as Drawing

from reports.figures.figure import hover, hover_line, rendered
from reports.writers.svg import SVG, inline_svg

EVIL = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10"
  onload="a()"><script>b()</script><foreignObject/><g onclick="c()"><use xlink:href="https://example.com/#x"/>
  <a xlink:href="javascript:d()"><text>in a link</text></a><text x="1">kept &lt;b&gt;</text></g></svg>"""


@pytest.fixture
def root() -> ET.Element:
    drawing = Drawing()
    axes = drawing.subplots()
    hover(axes.bar([0], [3.0], color="#000000", edgecolor="white", hatch="//")[0], 'Ant "<b>"')
    (line,) = axes.plot([1, 10], [2, 8], color="#0072B2")
    hover_line(line, "Bee")
    axes.set_xlim(1, 10)
    axes.set_ylim(2, 8)
    axes.set_yscale("log")
    return ET.fromstring(inline_svg(rendered("f", "F", "", drawing).svg, "f", "A & B"))


def test_values_are_there_for_the_pointer(root: ET.Element) -> None:
    (bar,) = root.iterfind(".//*[@data-text]")
    assert bar.get("data-text") == 'Ant "<b>"'
    (axes,) = root.iterfind(".//*[@data-x]")
    assert [axes.get(f"data-{name}") for name in ("x", "y", "log")] == ["[1.0, 10.0]", "[2.0, 8.0]", "[false, true]"]
    (line,) = axes.iterfind(".//*[@data-line]")
    assert line.get("data-line") == "Bee"
    assert line.find(f"{SVG}path") is not None


def test_black_and_white_are_the_colours_of_the_page(root: ET.Element) -> None:
    styles = " ".join(part.get("style", "") for part in root.iter())
    assert "currentColor" in styles
    assert "var(--page)" in styles
    assert "#0072b2" in styles
    assert "#000000" not in styles


def test_names_are_those_of_the_drawing_and_all_of_them_are_used(root: ET.Element) -> None:
    names = [name for part in root.iter() if (name := part.get("id"))]
    assert names
    assert len(set(names)) == len(names)
    text = ET.tostring(root, encoding="unicode")
    for name in names:
        assert name.startswith("f-")
        assert f"#{name}" in text
    assert root.get("aria-label") == "A & B"


def test_what_could_run_or_load_is_left_out() -> None:
    text = inline_svg(EVIL.encode(), "f", "F")
    assert "kept &lt;b&gt;" in text
    for word in ("onload", "onclick", "script", "example.com", "foreignObject", "a()", "c()", "in a link"):
        assert word not in text
