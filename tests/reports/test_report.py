"""Which tables a suite gets, and their files."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from benchmarks.suite.suite import Column, load_suite
from reports import report as suite_report
from reports.report import read_measurements, suite_figures, suite_tables, write_files
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


def test_zero_shot_is_a_table_of_its_own(suite, measurement, cub):
    asked = Column("CUB", "zeroshot", "cub", "paper", "top1")
    chosen = replace(suite("zeroshot", columns=()), zeroshot=(asked,))
    (table,) = suite_tables(chosen, [measurement(cub, 80.0), measurement(asked, 55.0)])
    assert (table.name, table.heading) == ("zeroshot", "Zero-shot classification")
    assert [row.cells[0].text for group in table.groups for row in group.rows] == ["55.0"]


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
    assert [run.path for one in read_measurements(store.folder) for run in one.runs] == [good]
    assert f"left out: {good.with_name('bad.json')}: not a result file" in capsys.readouterr().err


def test_an_empty_store_is_an_error(store):
    store.folder.mkdir()
    with pytest.raises(UMTError, match="holds no readable result"):
        read_measurements(store.folder)


def test_files(suite, measurement, cub, tmp_path):
    tables = suite_tables(suite(), [measurement(cub, 80.0)])
    paths = write_files(tables, suite_figures(tables, []), "Title", tmp_path / "new" / "tables")
    names = [f"table{number}{suffix}" for number in range(1, 8) for suffix in (".csv", ".tex", ".md")]
    names = ["report.html", "report.tex", *names]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "new" / "tables").iterdir()) == sorted(names)


def test_of_a_long_table_people_read_the_leading_rows_and_programs_all(suite, measurement, cub, tmp_path, monkeypatch):
    monkeypatch.setattr(suite_report, "MOST", 2)
    names = {"a": 70.0, "b": 90.0, "c": 80.0}
    tables = suite_tables(suite("mini"), [measurement(cub, value, backbone=name) for name, value in names.items()])
    write_files(tables, [], "Title", tmp_path)
    with (tmp_path / "table1.csv").open() as file:
        assert [line["Backbone"] for line in csv.DictReader(file)] == ["a", "b", "c"]
    for name in ("table1.md", "table1.tex", "report.tex", "report.html"):
        text = (tmp_path / name).read_text()
        assert "90.0" in text
        assert "70.0" not in text
        assert "Of 3 backbones the 2 with the best mean place. The CSV has all." in text


def test_a_folder_that_cannot_be_written_is_an_error(suite, measurement, cub, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UMTError, match="choose another --out"):
        write_files(suite_tables(suite(), [measurement(cub, 80.0)]), [], "Title", tmp_path / "file")
