"""The page: self-contained, well-formed, and closed to what it shows."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO

import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image

from reports.figures.figure import rendered
from reports.writers.html import html_page

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Elements with their attributes, the texts of cells, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open) and self.open[-1] in ("td", "th", "button"):
            self.cells[-1] += data


@pytest.fixture
def page(table) -> Page:
    return Page(html_page("Paper <suite>", [table]))


def test_every_element_is_closed(page):
    assert page.open == []


def test_nothing_is_loaded_from_outside(page, table):
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "srcset", "action", "data", "style", "onclick", "onerror"}
    assert not {tag for tag, _ in page.elements} & {"link", "iframe", "object", "img"}
    assert [tag for tag, _ in page.elements].count("script") == 1
    style = html_page("x", [table]).partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_cells_show_what_the_table_holds(page, hostile):
    assert [text for text in page.cells if text.strip()][:4] == [
        "Method",
        "Architecture",
        "CUB ",
        "rooms (NYU layout) ",
    ]
    for expected in (hostile, "83.3 ± 0.1", "81.20", "Proteus (paper)†", "–"):
        assert expected in page.cells


def test_the_policy_names_the_script_that_is_there(table):
    text = html_page("x", [table])
    script = text.partition("<script>")[2].partition("</script>")[0]
    assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in text


def test_figures_are_inside_the_page(table):
    drawing = Drawing()
    drawing.subplots().plot([0, 1])
    page = Page(html_page("x", [table], [rendered("curve", "A <curve>", "About it.", drawing)]))
    (image,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert image["alt"] == "A <curve>"
    kind, _, content = (image["src"] or "").partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(BytesIO(b64decode(content))).width > 100


def test_provenance_is_the_title_of_the_best_cell(page):
    (best,) = [attributes for tag, attributes in page.elements if attributes.get("class") == "number best"]
    assert best["title"] == 'task t\ntitle "><script>x</script>'
