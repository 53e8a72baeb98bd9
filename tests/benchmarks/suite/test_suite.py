"""Suites as data: which files they name, what their tables are, and those of release 0.1."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import yaml

from benchmarks.suite.suite import FOLDER, Suite, load_suite, suite_names
from umt.errors import DeclarationError, TrustError, UMTError

COLUMN = "{heading: H, task: knn, dataset: cub, protocol: mini, metric: top1}"
HEAD = "title: T\nabout: A\nseeds: 1\nembedded_data: true\n"


@pytest.fixture
def load(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Loads a suite from its text behind the fields that every suite has."""

    def read(text: str) -> Suite:
        (tmp_path / "mine.yaml").write_text(f"{HEAD}{text}")
        return load_suite(str(tmp_path / "mine.yaml"))

    return read


def test_suites_name_files_beside_them_alone(tmp_path: Path) -> None:
    base = (FOLDER / "mini.yaml").read_text()
    for change in (
        base.replace("dataset: imagenet, protocol: mini", "dataset: imagenet, protocol: ../../x.yaml", 1),
        base.replace("recipe: mini-cnn-pypi, heads", "recipe: /etc/x.yaml, heads", 1),
    ):
        (tmp_path / "s.yaml").write_text(change)
        with pytest.raises(TrustError, match="lies outside"):
            load_suite(str(tmp_path / "s.yaml"))
    (tmp_path / "s.yaml").write_text(base.replace("protocol: mini", "protocol: ../../../x", 1))
    with pytest.raises(TrustError, match="lies outside"):
        _ = load_suite(str(tmp_path / "s.yaml")).columns[0].protocol_name


def test_a_table_may_be_that_of_a_shipped_suite(load) -> None:  # type: ignore[no-untyped-def]
    suite = load(f"tables: {{a: {{title: A, columns: [{COLUMN}]}}, hard: robustness/robustness}}")
    assert list(suite.tables) == ["a", "hard"]
    assert suite.tables["hard"] == load_suite("robustness").tables["robustness"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [("robust/robustness", "unknown suite.*mine.yaml.*robustness"), ("frozen/knn", "unknown table of suite 'frozen'")],
)
def test_a_shared_table_that_is_not_there_is_named(reference: str, message: str, load) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UMTError, match=message):
        load(f"tables: {{hard: {reference}}}")


def test_the_suite_of_all_rows_holds_those_of_the_others() -> None:
    everything = {column.job for column in load_suite("vfm").columns}
    for part in ("frozen", "readers", "robustness", "robustness_finetuned", "proteus12", "cost"):
        assert {column.job for column in load_suite(part).columns} <= everything


def test_a_suite_is_called_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: T\nabout: A\nseeds: 1\nembedded_data: true\ntables: {}\n")
    suite: Suite = load_suite(str(tmp_path / "mine.yaml"))
    assert (suite.name, suite.source) == ("mine", str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (f"{{../x: {{title: X, columns: [{COLUMN}]}}}}", "'../x' cannot name files of a report"),
        (f"{{report: {{title: X, columns: [{COLUMN}]}}}}", "'report' cannot name files of a report"),
        (f"{{x-other-data: {{title: X, columns: [{COLUMN}]}}}}", "'x-other-data' cannot name files of a report"),
        (f"{{Table1: {{title: X, columns: [{COLUMN}]}}}}", "'Table1' cannot name files of a report"),
        (f"{{table3: {{title: X, columns: [{COLUMN}]}}}}", "'table3' is a table of the paper"),
        (f"{{x: {{columns: [{COLUMN}]}}}}", "'x' needs a title and columns"),
        ("{x: {title: X, jobs: [knn/*]}}", "'x' needs a title and columns"),
        (f"{{x: {{title: X, colums: [{COLUMN}]}}}}", "unknown field 'colums'. Did you mean columns"),
        ("3", "field 'tables' is 3, expected Mapping"),
        ("[3]", "expected Mapping"),
    ],
)
def test_a_table_that_cannot_be_is_named(load, tables: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeclarationError) as caught:
        load(f"tables: {tables}\n")
    assert message in str(caught.value)
    assert "mine.yaml: " in str(caught.value)


def test_columns_of_several_tables_are_measured_once(load) -> None:  # type: ignore[no-untyped-def]
    other = COLUMN.replace("top1", "top5")
    suite = load(f"tables: {{a: {{title: A, columns: [{COLUMN}]}}, b: {{title: B, columns: [{COLUMN}, {other}]}}}}\n")
    assert [column.metric for column in suite.columns] == ["top1", "top5"]
    assert [column.metric for column in suite.measured] == ["top1"]


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suites_are_of_this_release(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_suite(name).measured


def test_a_suite_of_release_0_1_is_read_with_a_warning(load) -> None:  # type: ignore[no-untyped-def]
    """The mini suite as it was written then is the mini suite."""
    record = yaml.safe_load((FOLDER / "mini.yaml").read_text())
    tables = record["tables"]
    old = {name: tables[table]["columns"] for name, table in (("columns", "table1"), ("probes", "probes"))}
    old["costs"] = tables["costs"]["columns"]
    plans = [{"number": int(name[5:]), **tables[name]} for name in ("table2", "table3", "table4", "table6")]
    old["tables"] = [{"number": 1, "jobs": ["imagenet_finetune/*"]}, *plans]
    with pytest.warns(FutureWarning, match=r"mine.yaml: columns, probes, costs, tables as a list: the next release"):
        suite = load(yaml.safe_dump(old))
    assert suite.tables == load_suite("mini").tables


def test_a_suite_of_release_0_1_without_main_columns(load) -> None:  # type: ignore[no-untyped-def]
    with pytest.warns(FutureWarning, match="columns, zeroshot: the next release"):
        suite = load(f"columns: []\nzeroshot: [{COLUMN}]\n")
    assert list(suite.tables) == ["zeroshot"]
    with pytest.warns(FutureWarning), pytest.raises(DeclarationError, match="unknown field 'number'"):
        load(f"columns: [{COLUMN}]\ntables: {{table2: {{number: 2}}}}\n")
