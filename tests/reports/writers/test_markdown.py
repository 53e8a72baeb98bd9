"""Markdown, read by a CommonMark parser with tables."""

from __future__ import annotations

import re
from html import unescape

from markdown_it import MarkdownIt

from reports.writers.markdown import markdown_table


def _rendered(table) -> str:
    return MarkdownIt("commonmark").enable("table").render(markdown_table(table))


def _rows(table) -> list[list[str]]:
    lines = re.findall(r"<tr>(.*?)</tr>", _rendered(table), flags=re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]


def test_cells_are_what_they_were(table, hostile):
    heading, _, paper, ours, _, last = _rows(table)
    assert heading == ["Method", "Architecture", "CUB accuracy (%) ↑", "rooms (NYU layout) RMSE (m) ↓"]
    assert paper == ["Proteus (paper)†", "–", "81.20", "0.300"]
    assert [unescape(text) for text in ours] == [hostile, "vit, base", "<strong>83.3 ± 0.1</strong>", "–"]
    assert last == ["=1+1", "–", "–", "–"]


def test_nothing_hostile_becomes_an_element(table):
    assert set(re.findall(r"<(\w+)", _rendered(table))) == {
        *("h2", "p", "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "ul", "li")
    }
