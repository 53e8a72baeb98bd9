"""`umt results import` and `export` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from umt.cli import cli
from umt.errors import UMTError

COLUMN = {"task": "finegrained_finetune", "dataset": "cub", "protocol": "paper", "metric": "accuracy"}
FORM = {"source": "S", "table": "1", "stated": "90 epochs", "columns": {"cub": COLUMN}}


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_imported_numbers_are_in_the_report(store, result, cub, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    store.write(result(cub, 80.0))
    given = tmp_path / "dinov9.yaml"
    given.write_text(yaml.safe_dump({**FORM, "rows": [{"model": "DINOv9", "cub": "91.20"}]}))
    run("results", "import", given, "--results", store.folder)
    assert (store.folder.parent / "quoted" / "dinov9.yaml").is_file()
    run("report", "--results", store.folder, "--out", tmp_path / "t")
    text = (tmp_path / "t" / "table1.csv").read_text()
    assert "quoted" in text
    assert "91.2" in text


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ({"task": "finetune"}, 80, "unknown task 'finetune'"),
        ({"dataset": "folder:/etc"}, 80, "unknown data set"),
        ({"metric": "acc"}, 80, "unknown metric"),
        ({}, 0.8e3, "expected 0 to 100"),
    ],
)
def test_what_nothing_measures_is_refused(
    store, tmp_path: Path, column: dict[str, str], value: float, said: str
) -> None:  # type: ignore[no-untyped-def]
    given = tmp_path / "a.yaml"
    rows = [{"model": "a", "cub": value}]
    given.write_text(yaml.safe_dump({**FORM, "columns": {"cub": {**COLUMN, **column}}, "rows": rows}))
    with pytest.raises(UMTError, match=said):
        run("results", "import", given, "--results", store.folder)
    assert not (store.folder.parent / "quoted").exists()


def test_export_writes_below_out(store, result, cub, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    store.write(result(cub, 80.0))
    run("results", "export", "--results", store.folder, "--to", "csv", "--out", tmp_path / "o")
    assert (tmp_path / "o" / "results.csv").is_file()
