"""Text from files in every field of a table and of a result: what is written and printed shows it, and obeys none."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from markdown_it import MarkdownIt

from benchmarks.results import Environment, Result
from benchmarks.suite.suite import Column, Suite, SuiteTable
from reports.building.metrics import ShownMetric
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.report import report_files, suite_figures, suite_tables
from reports.results.store import read_measurements
from reports.tables.leaderboard import leaderboard
from reports.writers.csv import csv_table
from reports.writers.terminal import print_table
from umt.console import Console

ACTING = "\x1b]0;t\x07 \x1b[2J \x9b31m \u202eevil\u2066 \r\n# h\n- b \x00"
HOSTILE = (
    r"""=cmd() [red]x[/red] [/] <script>x</script> <b> \input{a} | *c* `d` $x_{$ ;+1 [e](http://f) www.g.h @i " ' """
    + ACTING
)
STARTS = (
    "=",
    "+",
    "-",
    "@",
    "\u200b=",
    "  =",
    "\t@",
    "\n+",
    "＝",
    "＋",
    "－",
    "＠",
    " ＝",
    "[",
    "*",
    "# ",
    "1. ",
    "> ",
)
ELEMENTS = {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "ul", "li"}


class Texts(HTMLParser):
    """The elements of a page, and all text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.scripts = 0
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.scripts += tag == "script"
        self.texts += [value for _, value in attrs if value]
        assert not [name for name, _ in attrs if name.startswith("on")]
        addresses = [value for name, value in attrs if name == "href" and value]
        assert all(address.startswith(("#", "data:text/csv;charset=utf-8;base64,")) for address in addresses)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile_table(text: str) -> Table:
    """A table with `text` in every field but its name."""
    cells = (Cell(text, 1.5, 0.1, 2, explain=lambda: [text, text]), Cell(text, -2.5, best=True))
    columns = (TableColumn(text, ShownMetric(text, text)), TableColumn(text, ShownMetric(text, "")))
    rows = (Row((text, text), cells, source=text, mark=text), Row((text, text), cells), Row((text, text), cells))
    return Table("t", text, text, text, (text, text), columns, (Group(text, rows), Group(text, rows)), (text, text))


def runs(cell: str) -> bool:
    """Return True if a spreadsheet would take a cell for a formula; a number is none."""
    if re.fullmatch(r"-?\d+\.\d+", cell):
        return False
    return normalize("NFKC", cell).lstrip()[:1] in ("=", "+", "-", "@")


def check(file: str, content: str) -> None:
    """A file of a report holds nothing that acts."""
    assert all(line.isprintable() for line in content.split("\n")), file
    if file.endswith(".csv"):
        for delimiter in ",;":
            assert [
                cell for line in csv.reader(StringIO(content), delimiter=delimiter) for cell in line if runs(cell)
            ] == []
    elif file.endswith(".md"):
        read = MarkdownIt("gfm-like", {"linkify": False}).render(content)
        assert set(re.findall(r"<(\w+)", read)) <= ELEMENTS
        assert not re.search(r"https?://|(?<!\\)@|www\.", content, re.IGNORECASE)
    elif file.endswith(".tex"):
        assert r"\input" not in content
        assert not re.search(r"(\\\\|\\midrule|\\toprule)\s*[*\[]", content)
    elif file.endswith(".html"):
        page = Texts(content)
        assert page.scripts == 1
        assert "b" not in page.elements
        assert "[red]" in "".join(page.texts)


def printed(tables: Sequence[Table], width: int, terminal: bool) -> str:
    console = Console(
        file=StringIO(), width=width, force_terminal=terminal, color_system="standard" if terminal else None
    )
    for table in tables:
        print_table(table, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def check_printed(tables: Sequence[Table]) -> None:
    for width in (60, 119, 250):
        text = printed(tables, width, terminal=False)
        assert all(line.isprintable() for line in text.split("\n"))
        assert "[red]" in text.replace("\n", "")
        styles = re.findall("\x1b(.{0,6})", printed(tables, width, terminal=True))
        assert all(re.match(r"\[[\d;]*m", style) for style in styles)
        assert not any(style.startswith("[31m") for style in styles)  # the red of the hostile text


@pytest.mark.parametrize("text", [HOSTILE, *(f"{start}{HOSTILE}" for start in STARTS)])
def test_a_table_of_hostile_text_is_written_as_text(tmp_path: Path, text: str) -> None:
    table = hostile_table(text)
    for name, content in report_files([table], [], text, tmp_path).items():
        check(name, content.decode())


def test_a_table_of_hostile_text_is_printed_as_text() -> None:
    check_printed([hostile_table(HOSTILE)])


@pytest.mark.parametrize("start", STARTS[:13])
def test_no_cell_runs_in_a_spreadsheet(start: str) -> None:
    """Nor is a number changed."""
    (heading, line, *_) = csv.reader(StringIO(csv_table(hostile_table(f"{start}1"))))
    assert not any(map(runs, [*heading, *line]))
    assert line[5:] == ["1.5", "0.1", "2", "-2.5", "", "0"]


def results(result: Callable[..., Result], provenance: Callable[..., dict[str, Any]]) -> Iterator[Result]:
    """Results of four students, each alone and beside a teacher, with hostile text wherever a file has text."""
    units, details = (
        {HOSTILE: HOSTILE},
        {"settings": {HOSTILE: HOSTILE}, "against": {"teaches": HOSTILE}, HOSTILE: HOSTILE},
    )
    switches = dict.fromkeys(("model_token", "cross_space", "intra_space"), True)
    for number in range(4):
        teachers = [
            {"name": HOSTILE, "kind": "dino", "backbone": HOSTILE, "weights": HOSTILE},
            {"name": "b", "kind": HOSTILE, "backbone": f"a:{HOSTILE}"},
        ]
        recipe = {"name": HOSTILE, "about": HOSTILE, "teachers": teachers, "interaction": {"method": "umt"} | switches}
        if number % 2:
            recipe["interaction"] = {"method": HOSTILE}
        lost = {"feature": 0.5 + number, "token": 0.25}
        said = provenance({HOSTILE: lost, "b": lost}, **recipe, student=number)
        said |= {"objectives": {HOSTILE: HOSTILE, "b": HOSTILE}, "code": {"commit": HOSTILE}}
        said["curve"] = {"step": [1.0, 2.0], HOSTILE: [2.0, 1.0], "loss": [3.0, 2.0]}
        common: dict[str, Any] = {
            **{"backbone": f"{HOSTILE}{number}", "spec": HOSTILE, "architecture": HOSTILE, "suite": HOSTILE},
            **{"dataset": HOSTILE, "protocol": HOSTILE, "protocol_hash": HOSTILE, "data_fingerprint": HOSTILE},
            **{"title": HOSTILE, "origin": HOSTILE, "root": HOSTILE, "official": False, "footnote": HOSTILE},
            **{"weights_hash": f"{HOSTILE}{number}", "sizes": {HOSTILE: 3}, "provenance": said, "details": details},
        }
        for task, metric in ((HOSTILE, HOSTILE), ("cka", "global"), ("throughput", "images_per_second")):
            asked = Column("", task, "", "", metric)
            found = result(asked, 50.0 + number, **{**common, "units": units, "task": task})
            yield replace(found, environment=Environment(HOSTILE, True, {HOSTILE: HOSTILE}, HOSTILE, HOSTILE, HOSTILE))


@pytest.mark.filterwarnings("error:Glyph")  # a warning that prints the control character
def test_a_store_of_hostile_text_is_reported_as_text(
    result: Callable[..., Result],
    provenance: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Column, "protocol_name", HOSTILE)
    folder = tmp_path / "results" / "somebody's"
    folder.mkdir(parents=True)
    for number, one in enumerate(results(result, provenance)):
        (folder / f"{number}.json").write_text(json.dumps(asdict(one)))
    measurements = read_measurements(folder.parent)
    column = Column(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    speed = replace(column, task="throughput", metric="images_per_second")
    declared = {"table1": SuiteTable(HOSTILE, columns=(column,)), "costs": SuiteTable(HOSTILE, columns=(speed,))}
    suite = Suite(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, False, declared)
    tables = [*suite_tables(suite, measurements), leaderboard(measurements)]
    assert {"table1", "table2", "table3", "table6", "leaderboard"} <= {table.name for table in tables}
    figures = suite_figures(suite, tables, measurements)
    assert len(figures) == 3
    for name, content in report_files(tables, figures, suite.title, tmp_path / "tables").items():
        if not name.endswith((".png", ".pdf")):
            check(name, content.decode())
    check_printed(tables)
