"""Which tables a suite gets, and their files."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from benchmarks.suite.suite import Column, load_suite
from reports import report as suite_report
from reports.report import report_files, suite_figures, suite_tables
from reports.results.store import read_measurements
from umt.errors import UMTError

LINEAR = Column("CUB linear", "finegrained_linear", "cub", "paper", "accuracy")
OTHER = {"title": "crops (CUB layout)", "official": False}


def _sources(table):
    return {row.source for group in table.groups for row in group.rows}


def test_the_paper_stands_in_the_paper_suite_only(suite, measurement, cub):
    for name, sources in {"paper": {"paper", "measured"}, "mini": {"measured"}, "mine": {"measured"}}.items():
        table, *students = suite_tables(suite(name), [measurement(cub, 80.0)])
        assert _sources(table) == sources
        assert [table.name for table in students] == ([f"table{n}" for n in range(2, 8)] if name == "paper" else [])
        assert all(_sources(table) == {"paper"} for table in students)


def test_other_data_never_stands_beside_the_paper(suite, measurement, cub):
    tables = suite_tables(suite(), [measurement(cub, 80.0), measurement(cub, 70.0, backbone="b", **OTHER)])
    main, apart = tables[0], tables[-1]
    assert (main.name, apart.name) == ("table1", "table1-other-data")
    assert "crops (CUB layout)" not in [column.heading for column in main.columns]
    assert [row.name for group in main.groups for row in group.rows if row.source == "measured"] == ["mine"]
    assert _sources(apart) == {"measured"}
    assert [column.heading for column in apart.columns] == ["crops (CUB layout)"]
    assert "nothing that is published" in apart.caption


def test_frozen_features_are_a_table_of_their_own(suite, measurement, cub):
    tables = suite_tables(suite("mini", probes=(LINEAR,)), [measurement(cub, 80.0), measurement(LINEAR, 60.0)])
    assert [table.name for table in tables] == ["table1", "probes"]
    assert [row.cells[0].text for group in tables[1].groups for row in group.rows] == ["60.0"]


def test_a_section_of_ones_own_is_a_block_of_the_suite_and_no_code(measurement, tmp_path):
    """From YAML to the page, the CSV, a figure: named, captioned and headed as the block says."""
    column = "{heading: CUB names, task: zeroshot, dataset: cub, protocol: paper, metric: top1}"
    (tmp_path / "own.yaml").write_text(
        "title: Own\nabout: About own.\nseeds: 1\nembedded_data: false\ntables:\n"
        f"  by-name:\n    title: Classes by their names\n    about: No training.\n    columns: [{column}]\n"
    )
    own = load_suite(str(tmp_path / "own.yaml"))
    asked = own.tables["by-name"].columns[0]
    assert own.measured == (asked,)
    measurements = [measurement(asked, 55.0), measurement(asked, 60.0, backbone="b", weights_hash="b" * 64)]
    (table,) = suite_tables(own, measurements)
    assert (table.name, table.heading, table.caption) == ("by-name", "Classes by their names", "Own. No training.")
    assert [row.cells[0].text for group in table.groups for row in group.rows] == ["60.0", "55.0"]
    files = report_files([table], suite_figures(own, [table], measurements), own.title, tmp_path)
    assert {"by-name.csv", "by-name.tex", "by-name.md", "by-name-bars.png"} <= files.keys()
    assert b"Classes by their names" in files["report.html"]


def test_the_mini_caption_says_what_it_is(measurement):
    mini = load_suite("mini")
    (table,) = suite_tables(
        mini, [measurement(mini.columns[0], 90.0, title="digits (ImageNet layout)", official=False)]
    )
    assert table.caption == f"{mini.title}. {mini.about}"
    assert "nothing that is published" in table.caption
    assert table.columns[0].heading == "digits (ImageNet layout)"
    assert any(note.startswith("digits (ImageNet layout): 20 train") for note in table.notes)


def test_bad_files_are_named_and_left_out(store, result, cub, capsys):
    good = store.write(result(cub, 80.0))
    good.with_name("bad.json").write_text("{")
    assert [one.path for one in read_measurements(store.folder)] == [good]
    assert f"left out: {good.with_name('bad.json')}: not a result file" in capsys.readouterr().err


def test_an_empty_store_is_an_error(store):
    store.folder.mkdir()
    with pytest.raises(UMTError, match="holds no readable result"):
        read_measurements(store.folder)


def test_files(suite, measurement, cub, tmp_path):
    tables = suite_tables(suite(), [measurement(cub, 80.0)])
    names = [f"table{number}{suffix}" for number in range(1, 8) for suffix in (".csv", ".tex", ".md")]
    contents = report_files(tables, suite_figures(suite(), tables, []), "Title", tmp_path)
    assert set(contents) == {"report.html", "report.tex", *names}
    with_results = report_files(tables, [], "Title", tmp_path, [measurement(cub, 80.0)])
    assert set(with_results) - set(contents) == {"results.csv"}


def test_the_tidy_table_has_every_metric_and_no_folder(suite, measurement, cub, tmp_path):
    measured = measurement(cub, 80.123456789, metrics={"accuracy": 80.123456789, "=top1": 70.0}, spec="/home/a/b.pth")
    files = report_files(suite_tables(suite(), [measured]), [], "Title", tmp_path, [measured])
    lines = list(csv.DictReader(StringIO(files["results.csv"].decode())))
    assert [(line["metric"], line["value"]) for line in lines] == [("accuracy", "80.123456789"), ("'=top1", "70.0")]
    assert {line["spec"] for line in lines} == {"…/b.pth"}
    assert lines[0]["interval_low"] == ""


def test_of_a_long_table_people_read_the_leading_rows_and_programs_all(suite, measurement, cub, tmp_path, monkeypatch):
    monkeypatch.setattr(suite_report, "MAX_ROWS", 2)
    names = {"a": 70.0, "b": 90.0, "c": 80.0}
    tables = suite_tables(suite("mini"), [measurement(cub, value, backbone=name) for name, value in names.items()])
    contents = {name: content.decode() for name, content in report_files(tables, [], "Title", tmp_path).items()}
    assert [line["Backbone"] for line in csv.DictReader(StringIO(contents["table1.csv"]))] == ["a", "b", "c"]
    for name in ("table1.md", "table1.tex", "report.tex", "report.html"):
        text = contents[name]
        assert "90.0" in text
        assert "70.0" not in text
        assert "Of 3 backbones the 2 with the best mean place. The CSV has all." in text
