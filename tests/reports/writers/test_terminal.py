"""The table on a console."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from reports.building.metrics import ShownMetric
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.writers import terminal
from reports.writers.terminal import print_table


@pytest.fixture
def printed(table):
    def show(shown: Table = table, width: int = 120, **options: object) -> str:
        console = Console(file=StringIO(), width=width, **options)
        print_table(shown, console)
        return console.file.getvalue()

    return show


def test_prints_every_value_and_no_markup(printed):
    text = printed()
    for expected in (
        "83.3 ± 0.1",
        "81.20",
        "0.300",
        "Proteus (paper)†",
        "RMSE (m)",
        "accuracy",
        "(%) ↑",
        "[d](e)",
        "–",
    ):
        assert expected in text


def test_the_best_is_bold_and_nothing_else(printed):
    text = printed(force_terminal=True, color_system="standard").partition("Proteus")[2]
    assert [bold.strip() for bold in re.findall("\x1b\\[1m(.*?)\x1b", text)] == ["83.3 ± 0.1"]


def test_a_narrow_console_loses_no_number(printed, table):
    many = (*map(_tripled, table.groups), *map(_tripled, table.groups))
    text = printed(replace(table, columns=table.columns * 3, groups=many), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert (text.count("81.20"), text.count("0.300"), text.count("Architecture")) == (6, 6, 0)


def test_few_models_stand_side_by_side_on_a_narrow_console(printed, table):
    wide = replace(table, columns=table.columns * 3, groups=tuple(map(_tripled, table.groups[:1])))
    lines = [line.split() for line in printed(wide, width=100).splitlines()]
    assert [line[-3:] for line in lines if line[:1] == ["CUB:"]] == [["83.3", "±", "0.1"]] * 3
    assert sum(line[-2:] == ["0.300", "–"] for line in lines) == 3


def _tripled(group):
    return replace(group, rows=tuple(replace(row, cells=row.cells * 3) for row in group.rows))


def test_of_a_long_table_the_leading_rows_are_printed(printed, monkeypatch):
    monkeypatch.setattr(terminal, "MAX_ROWS", 1)
    said = printed(width=200)
    assert "Proteus" in said
    assert "83.3" in said
    assert "=1+1" not in said
    assert "Of 2 backbones the 1 with the best mean place. The CSV has all." in said


def test_a_table_of_many_columns_goes_on_below(printed, table):
    wide = replace(table, columns=table.columns * 6, groups=tuple(map(_tripled, map(_tripled, table.groups * 3))))
    wide = replace(wide, columns=wide.columns[:12], groups=tuple(map(_twelve, wide.groups)))
    text = printed(wide, width=80)
    words = [line.split() for line in text.splitlines()]
    names = [line for line in words if line[:1] == ["Proteus"]]
    assert max(map(len, text.splitlines())) <= 80
    assert len(names) == 3 * 3  # pieces of four columns, groups
    assert (text.count(wide.title), text.count(wide.caption.split(".")[0])) == (1, 1)


@pytest.mark.parametrize("columns", [0, 1, 2])
def test_a_console_as_narrow_as_a_name_prints_all_the_same(printed, table, columns):
    groups = tuple(
        replace(group, rows=tuple(replace(row, cells=row.cells[:columns]) for row in group.rows))
        for group in table.groups
    )
    few = replace(table, columns=table.columns[:columns], groups=groups)
    assert "Proteus" in printed(few, width=20)


def _twelve(group):
    return replace(group, rows=tuple(replace(row, cells=row.cells[:12]) for row in group.rows))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("models", [1, 2, 9])
def test_no_word_is_broken_at_any_width(printed, width, models):
    headings = ["Caltech101", "crops A, few-shot", "rooms and stereo, depth", "ImageNet-1k"] * 3
    columns = tuple(TableColumn(name, ShownMetric("mean per-class acc.")) for name in headings)
    names = ["EfficientNet-Lite0", "vit_base_patch14_reg4_dinov2.lvd142m", "UMT student"] * 3
    rows = tuple(Row((name,), (Cell("81.25 ± 0.11", 81.25),) * 12) for name in names[:models])
    text = printed(Table("t", "All", "Caption.", "", ("Backbone",), columns, (Group("", rows),), (), ("A: b.",)), width)
    lines, words = text.splitlines(), set(text.split())
    assert max(map(len, lines)) <= width
    for heading in headings:
        assert words >= {word.rstrip(":") for word in heading.split()} or words >= {*f"{heading}:".split()}
    assert words >= {"vit_base_patch14_reg4_", "dinov2.lvd142m"} or models == 1
    assert "mean" in words
    assert "per-class" in words
    assert text.count("81.25 ± 0.11") == 12 * models
    assert text.endswith("Caption.\nA: b.\n")


def test_the_title_of_a_group_breaks_between_words(printed, table):
    title = "resnet10t of tf_efficientnet_lite0, tf_efficientnet_lite2"
    short = replace(table, groups=(Group(title, (Row(("ant", "x"), (Cell(), Cell())),)),))
    text = printed(short, width=60)
    assert [line.strip() for line in text.split("\n") if "efficientnet" in line or "resnet10t" in line] == [
        "resnet10t of",
        "tf_efficientnet_lite0,",
        "tf_efficientnet_lite2",
    ]
