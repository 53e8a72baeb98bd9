"""The tasks of a suite on other data sets than its own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.suite.on_data import suite_on
from benchmarks.suite.suite import Suite, load_suite
from umt.cli import cli
from umt.errors import UMTError


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder of two classes, six images each."""
    folder = tmp_path / "pets"
    for shade, name in enumerate(("cat", "dog")):
        for number in range(6):
            path = folder / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (90 * shade + 9 * number, 0, 0)).save(path)
    return folder


def jobs(suite: Suite) -> list[tuple[str, str, str]]:
    return [(column.task, column.dataset, column.protocol) for column in suite.measured]


def test_frozen_probes_are_the_default() -> None:
    suite = suite_on(load_suite("paper"), ["caltech101?draw=published"], [])
    dataset = "caltech101?draw=published"
    assert jobs(suite) == [(task, dataset, "paper") for task in ("finegrained_linear", "knn", "fewshot")]
    assert (suite.name, suite.embedded_data) == ("paper-caltech-101", False)


def test_named_tasks_are_taken_by_their_first_protocol() -> None:
    suite = suite_on(load_suite("mini"), ["cub"], ["finegrained_finetune", "knn"])
    assert jobs(suite) == [("finegrained_finetune", "cub", "mini"), ("knn", "cub", "small")]
    assert suite.embedded_data


def test_a_table_of_folders_claims_no_official_data(pets: Path) -> None:
    suite = load_suite("frozen")
    assert suite_on(suite, ["cub"], []).tables["table1"].about == suite.about
    assert "official splits" in suite_on(suite, [f"folder:{pets}"], []).tables["table1"].about


def test_all_metrics_of_a_job_are_shown() -> None:
    suite = suite_on(load_suite("frozen"), ["cub"], ["diagnostics", "retrieval"])
    of_suite = {column.metric for column in load_suite("frozen").columns if column.task == "diagnostics"}
    assert {column.metric for column in suite.columns if column.task == "diagnostics"} == of_suite
    assert [column.metric for column in suite.columns if column.task == "retrieval"] == ["map", "recall_at_1"]
    assert len(suite.measured) == 2


def test_dense_data_take_the_tasks_that_there_are() -> None:
    assert jobs(suite_on(load_suite("paper"), ["ade20k"], [])) == [("ade20k_linear", "ade20k", "paper")]


@pytest.mark.parametrize(
    ("dataset", "tasks", "message"),
    [
        ("cbu", [], "unknown data set 'cbu'. Did you mean cub?"),
        ("nyuv2", ["knn"], "--dataset nyuv2: no task of suite 'paper' for depth is chosen; it has nyuv2_depth"),
    ],
)
def test_data_that_no_task_takes_are_named(dataset: str, tasks: list[str], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        suite_on(load_suite("paper"), [dataset], tasks)


def test_a_folder_becomes_a_table(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = [
        "--backbone",
        "timm:test_resnet?pretrained=false",
        "--suite",
        "mini",
        "--tasks",
        "knn",
        "--device",
        "cpu",
    ]
    done = CliRunner().invoke(cli, ["run", *options, "--dataset", "folder:pets"])
    assert done.exit_code == 0, done.output
    with (tmp_path / "runs/mini-pets/tables/table1.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 <= float(row["pets top-1 (%) ↑"]) <= 100
    assert "20% of each class test, drawn with seed 0" in (tmp_path / "runs/mini-pets/tables/table1.md").read_text()
    assert not (tmp_path / "runs/mini-pets/data").exists(), "the embedded data are not needed"


def test_tables_and_other_data_exclude_each_other() -> None:
    done = CliRunner().invoke(cli, ["run", "timm:test_resnet?pretrained=false", "--dataset", "cub", "--tables", "1"])
    assert done.exit_code == 2
    assert "leave out --tables" in done.output
