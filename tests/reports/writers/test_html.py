"""The page: self-contained, well-formed, and closed to what it shows."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from functools import partial
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image

from reports.building.table import Cell, Group, Row
from reports.figures.figure import rendered
from reports.figures.maps import MapSheet
from reports.figures.panels import PanelBlock, PanelRow, Tile, webp
from reports.writers import html
from reports.writers.html import address_in_run, html_page

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
    assert not names & {"src", "srcset", "action", "data", "style", "onclick", "onerror"}
    addresses = [attributes["href"] or "" for _, attributes in page.elements if "href" in attributes]
    assert addresses
    assert all(address.startswith("#") for address in addresses)
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
    (image,) = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert (image["role"], image["aria-label"]) == ("img", "A <curve>")
    assert page.open == []


def test_provenance_is_the_title_of_the_best_cell(page):
    (best,) = [attributes for tag, attributes in page.elements if attributes.get("class") == "number best"]
    assert best["title"] == 'task t\ntitle "><script>x</script>'


def test_the_page_says_what_it_is_and_where_things_are(table):
    facts = (("Measured", "2026-01-01"), ("Missing", "2 of 4 numbers, in <CUB>"))
    page = Page(html_page("x", [table], facts=facts))
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1", "dl")] == [1] * 6
    ids = {attributes["id"] for _, attributes in page.elements if attributes.get("id")}
    anchors = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert "#t" in anchors
    assert {address.removeprefix("#") for address in anchors if address} <= ids
    assert "2 of 4 numbers, in &lt;CUB&gt;" in html_page("x", [table], facts=facts)


def test_a_caption_of_several_tables_stands_once(table):
    tables = [replace(table, name=name, caption=caption) for name, caption in (("a", "x"), ("b", "x"), ("c", "y"))]
    page = Page(html_page("x", tables))
    assert [tag for tag, attributes in page.elements if attributes.get("class") == "caption"] == ["p", "p"]


def test_a_csv_is_inside_the_page_or_if_it_is_long_beside_it(table, monkeypatch):
    monkeypatch.setattr(html, "MAX_INSIDE", 10)
    page = Page(html_page("x", [table], downloads={"t.csv": "a,b\n1,2\n", "results.csv": "c" * 11}))
    links = {
        attributes["download"]: attributes["href"] or ""
        for tag, attributes in page.elements
        if tag == "a" and "download" in attributes
    }
    assert b64decode(links["t.csv"].removeprefix("data:text/csv;charset=utf-8;base64,")) == b"a,b\n1,2\n"
    assert links["results.csv"] == "results.csv"


def test_result_files_of_the_run_are_linked_and_no_others(table, tmp_path):
    near, far = tmp_path / "results" / "my model" / "a.json", tmp_path.parent / "b.json"
    cell = Cell("1.0", 1.0, explain=lambda: ["x"], files=(near, far))
    linked = replace(table, groups=(Group("", (Row(("m", "–"), (cell, Cell())),)),))
    page = Page(html_page("x", [linked], link=partial(address_in_run, tmp_path / "tables")))
    (button,) = [attributes for _, attributes in page.elements if attributes.get("class") == "why"]
    assert button["data-files"] == "../results/my%20model/a.json"
    assert button["data-cell"] == "t/m/CUB/accuracy"


def test_intervals_stand_beside_their_numbers(table):
    cell = Cell("81.2", 81.23, explain=lambda: ["x"], estimate=lambda: (80.04, 82.06))
    text = html_page("x", [replace(table, groups=(Group("", (Row(("m", "–"), (cell, Cell())),)),))])
    assert '<span class="interval">[80.0, 82.1]</span>' in text
    assert 'id="intervals"' in text
    assert 'id="intervals"' not in html_page("x", [table])


def test_panels_and_maps_are_text_where_they_hold_text(hostile, tmp_path):
    picture = webp(Image.new("RGB", (4, 4)), lossless=True)
    row = PanelRow(hostile, (Tile(hostile, picture, tmp_path),), {hostile: "#aabbcc"})
    sheet = MapSheet("maps-1", hostile, hostile, picture, tmp_path)
    page = Page(html_page("x", [], [], [PanelBlock("panels-1", hostile, (row,)), sheet]))
    assert page.open == []
    assert [tag for tag, _ in page.elements].count("script") == 1
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert [image["alt"] for image in images] == [f"{hostile}: {hostile}", hostile]
    assert all((image["src"] or "").startswith("data:image/webp;base64,") for image in images)
