"""The page in a real browser: sorting, filtering, provenance, links, downloads, values under the pointer, themes."""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from reports.building.metrics import ShownMetric
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.figures.figure import finished, hover_line, rendered
from reports.figures.maps import MapSheet
from reports.figures.panels import PanelBlock, PanelRow, Tile, webp
from reports.figures.style import panels
from reports.figures.tasks import task_bars
from reports.writers import html
from reports.writers.html import html_page

NAMES = "[...document.querySelectorAll('tbody tr:not(.group)')].filter(r => !r.hidden).map(r => r.cells[0].textContent)"


def number(value: float | None) -> Cell:
    return (
        Cell()
        if value is None
        else Cell(f"{value:.1f}", value, runs=1, explain=lambda: [f"measured as {value}", "<b>"])
    )


@pytest.fixture
def page() -> str:
    columns = (
        TableColumn("CUB", ShownMetric("acc.")),
        TableColumn("NYUv2", ShownMetric("RMSE", "m", higher_is_better=False)),
    )
    first = [("Ant", 9.0, 3.0), ("Bee", 70.0, None), ("Cow", None, 1.0), ("Dog", 8.5, 2.0)]
    rows = tuple(Row((name, "vit"), (number(cub), number(nyu))) for name, cub, nyu in first)
    groups = (Group("Animals", rows), Group("Plants", (Row(("Elm", "cnn"), (number(1.0), number(1.0))),)))
    return html_page("Zoo", [Table("t", "All", "About.", "Table 1", ("Backbone", "Kind"), columns, groups, ("Note.",))])


def test_headings_sort_inside_groups_and_missing_values_stay_last(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    assert tab.value(NAMES) == ["Ant", "Bee", "Cow", "Dog", "Elm"]
    tab.click("th:nth-child(3) button")
    assert tab.value(NAMES) == ["Bee", "Ant", "Dog", "Cow", "Elm"], "the best first, where more is better"
    assert tab.value("document.querySelector('th:nth-child(3)').getAttribute('aria-sort')") == "descending"
    tab.click("th:nth-child(3) button")
    assert tab.value(NAMES) == ["Dog", "Ant", "Bee", "Cow", "Elm"]
    tab.click("th:nth-child(4) button")
    assert tab.value(NAMES) == ["Cow", "Dog", "Ant", "Bee", "Elm"], "the best first, where less is better"
    tab.click("th:nth-child(1) button")
    assert tab.value(NAMES) == ["Ant", "Bee", "Cow", "Dog", "Elm"]
    assert tab.complaints == []


def test_typing_filters_rows_and_groups(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    tab.click("#filter")
    tab.send("Input.insertText", text="cnn EL")
    assert tab.value(NAMES) == ["Elm"]
    assert tab.value("document.querySelector('tbody').hidden") is True, "the title of an empty group goes too"
    assert tab.complaints == []


def test_a_click_on_a_number_shows_where_it_comes_from(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    assert tab.value("document.getElementById('why').open") is False
    tab.click("tbody tr:nth-child(2) td:nth-child(3) button")
    assert tab.value("document.getElementById('why').open") is True
    assert tab.value("document.querySelector('dialog pre').textContent") == "measured as 9.0\n<b>"
    assert tab.value("document.querySelector('dialog h3').textContent") == "Ant, CUB: 9.0"
    tab.click("dialog form button")
    assert tab.value("document.getElementById('why').open") is False
    assert tab.complaints == []


def test_the_origin_leads_to_the_result_file(show) -> None:  # type: ignore[no-untyped-def]
    cell = Cell("9.0", 9.0, runs=2, explain=lambda: ["x"], files=(Path("a/b c.json"), Path("elsewhere.json")))
    groups = (Group("", (Row(("Ant",), (cell,)),)),)
    columns = (TableColumn("CUB", ShownMetric("acc.")),)
    table = Table("t", "All", "", "", ("Backbone",), columns, groups, ())
    tab = show(html_page("Zoo", [table], link=lambda path: f"../{quote(str(path))}" if path.parts[:-1] else None))
    tab.click("td button")
    links = "[...document.querySelectorAll('dialog a')].map(link => link.getAttribute('href'))"
    assert tab.value(links)[0] == "../a/b%20c.json"
    assert "elsewhere" not in str(tab.value(links))
    assert tab.complaints == []


def test_no_other_script_runs(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page.replace("</body>", "<script>document.title = 'taken'</script></body>"))
    assert tab.value("document.title") == "Zoo – UMT-Bench"
    assert any("Content Security Policy" in str(complaint) for complaint in tab.complaints)


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_screen_in_both_themes(show, page: str, width: int) -> None:  # type: ignore[no-untyped-def]
    tab = show(page, width)
    assert tab.value("document.documentElement.scrollWidth") == width, "nothing but a table may scroll sideways"
    brightness = [mean_brightness(tab.screenshot())]
    tab.click("#theme")
    brightness.append(mean_brightness(tab.screenshot()))
    assert max(brightness) > 200
    assert min(brightness) < 60
    assert tab.complaints == []


def mean_brightness(png: bytes) -> float:
    pixels = Image.open(BytesIO(png)).convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixels, (int, float))
    return pixels


def test_a_filter_without_a_match_says_so(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    tab.click("#filter")
    tab.send("Input.insertText", text="zebra")
    assert tab.value("document.getElementById('matches').textContent") == "No row matches “zebra”."
    assert tab.value("document.querySelector('.nomatch').hidden") is False
    assert tab.complaints == []


def test_the_address_keeps_what_was_chosen(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    tab.click("th:nth-child(4) button")
    tab.click("#theme")
    tab.click(".columns summary")
    tab.click("input[data-column='t:2']")
    tab.click("#filter")
    tab.send("Input.insertText", text="vit")
    kept = tab.value("location.hash")
    assert kept.startswith("#filter=vit&theme=dark&sort=t%3A3%3Aascending&hide=t%3A2")
    tab.events.clear()
    tab.send("Page.reload")
    while not any(event.get("method") == "Page.loadEventFired" for event in tab.events):
        tab.events.append(tab._next())
    assert tab.value(NAMES) == ["Cow", "Dog", "Ant", "Bee"], "sorted and filtered as before"
    assert tab.value("document.documentElement.dataset.theme") == "dark"
    assert tab.value("document.querySelector('th:nth-child(3)').hidden") is True
    assert tab.value("document.querySelector('tbody tr:nth-child(2) td:nth-child(4)').hidden") is False
    assert tab.complaints == []


def test_the_address_of_a_number_opens_its_origin(show, page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    tab.value("location.hash = new URLSearchParams({cell: 't/Ant/CUB/acc.'})")
    tab.value("new Promise(done => setTimeout(done, 100))")
    assert tab.value("document.querySelector('dialog').open") is True
    assert tab.value("document.querySelector('dialog h3').textContent") == "Ant, CUB: 9.0"
    link = tab.value("document.querySelector('dialog .links a').getAttribute('href')")
    assert link == "#cell=t%2FAnt%2FCUB%2Facc."
    assert tab.complaints == []


@pytest.mark.parametrize("address", ["#sort=x:9:up&hide=q&cell=<b>&theme=pink", "#sort=t:99:ascending", "#=", "#t"])
def test_an_odd_address_shows_the_page(show, page: str, address: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(page)
    tab.value(f"location.hash = {address!r}")
    assert tab.value(NAMES) == ["Ant", "Bee", "Cow", "Dog", "Elm"]
    assert tab.complaints == []


@pytest.fixture
def full_page(tmp_path: Path) -> str:
    """A page with everything on it: tables, downloads, panels, a sheet of maps, and figures."""
    columns = (TableColumn("CUB", ShownMetric("acc.")), TableColumn("NYUv2", ShownMetric("RMSE", "m", False)))
    rows = tuple(Row((name,), (number(cub), number(nyu))) for name, cub, nyu in [("Ant", 9.0, 3.0), ("Bee", 70.0, 2.0)])
    table = Table("t", "All", "About.", "Table 1", ("Backbone",), columns, (Group("", rows),), ("Note.",))
    drawing, (axes,) = panels(1, height=2)
    (line,) = axes.plot([0, 10], [1.0, 3.0])
    hover_line(line, "Ant")
    bars = task_bars(table)
    assert bars
    picture = webp(Image.new("RGB", (32, 24), "teal"), lossless=True)
    tiles = tuple(Tile(title, picture, tmp_path / "a.png") for title in ("image", "truth", "Ant", "Bee"))
    block = PanelBlock("panels-1", "Predictions: rooms", (PanelRow("room_1", tiles, {"wall": "#aabbcc"}),))
    sheet = MapSheet("maps-1", "Maps", "About maps.", picture, tmp_path / "pca.png")
    figures = [finished(bars, tmp_path), rendered("curves", "Curves", "About curves.", drawing)]
    downloads = {"t.csv": "a,b\n1,2\n", "results.csv": "c\n3\n"}
    return html_page("Zoo", [table], figures, [block, sheet], facts=(("On", "a GPU"),), downloads=downloads)


def test_every_link_inside_the_page_leads_somewhere(show, full_page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(full_page)
    lost = (
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.querySelector(a.getAttribute('href')))"
    )
    assert tab.value(f"{lost}.length") == 0
    assert tab.value("document.querySelectorAll('nav a[href^=\"#\"]').length") == 5
    assert tab.value("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == tab.value(
        "document.querySelectorAll('[id]').length"
    ), "each name stands once"
    tab.click("nav a[href='#curves']")
    assert tab.value("location.hash") == "#curves"
    assert abs(tab.value("document.getElementById('curves').getBoundingClientRect().top")) < 900
    assert tab.complaints == []


def test_a_table_is_downloaded_from_inside_the_page(show, full_page: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tab = show(full_page)
    tab.browser("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "got"))
    tab.click("a[download='results.csv']")
    file = tmp_path / "got" / "results.csv"
    for _ in range(100):
        if file.is_file() and file.read_text():
            break
        time.sleep(0.05)
    assert file.read_text() == "c\n3\n"
    assert tab.complaints == []


def test_the_pointer_finds_the_values_of_bars_and_lines(show, full_page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(full_page)
    assert tab.value("document.getElementById('hover').hidden") is True
    tab.point("[data-text]")
    assert tab.value("document.getElementById('hover').textContent") == "Ant, CUB: 9.0 %"
    tab.point("[data-line] path", share=1.0)
    assert tab.value("document.getElementById('hover').textContent") == "Ant: 3 at 10"
    tab.point("h1")
    assert tab.value("document.getElementById('hover').hidden") is True
    assert tab.complaints == []


def test_pictures_are_shown(show, full_page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(full_page)
    assert tab.value("[...document.images].map(image => image.naturalWidth)") == [32] * 5
    assert tab.complaints == []


def test_each_picture_has_a_sentence(show, full_page: str) -> None:  # type: ignore[no-untyped-def]
    tab = show(full_page)
    pictures = "[...document.querySelectorAll('main section')].filter(s => s.querySelector('img, .drawing svg'))"
    said = "[...s.querySelectorAll('p.caption, section > figure > figcaption')].map(e => e.innerText.trim())"
    sentences = tab.value(f"{pictures}.map(s => {said})")
    assert len(sentences) == 4
    assert all(len(texts) == 1 and texts[0].endswith(".") for texts in sentences), sentences


def test_pictures_beyond_the_limit_are_links(show, full_page: str, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    picture = webp(Image.new("RGB", (32, 24), "teal"), lossless=True)
    sheets = [MapSheet(f"maps-{i}", f"Maps {i}", "", picture, tmp_path / f"{i}.png") for i in (1, 2)]
    monkeypatch.setattr(html, "MAX_PICTURES", len(picture))
    tab = show(html_page("Zoo", [], [], sheets, link=lambda path: f"../{path.name}"))
    assert tab.value("document.images.length") == 1
    links = "[...document.querySelectorAll('figcaption a')].map(a => a.getAttribute('href'))"
    assert tab.value(links) == ["../1.png", "../2.png"]


@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_in_both_themes(show, full_page: str, width: int) -> None:  # type: ignore[no-untyped-def]
    """axe-core comes from npm: `npm install axe-core` in a folder that UMT_AXE names."""
    script = Path(os.environ.get("UMT_AXE", ".")) / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        pytest.skip("no axe-core here: npm install axe-core, and name the folder in UMT_AXE")
    tab = show(full_page, width)
    tab.value(f"{script.read_text(encoding='utf-8')};1")
    for theme in ("light", "dark"):
        tab.value(f"document.documentElement.dataset.theme = {theme!r}")
        assert tab.value("axe.run().then(r => r.violations.map(v => [v.id, v.nodes[0].html]))") == []
    assert tab.value("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
