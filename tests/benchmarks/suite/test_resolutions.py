"""A suite at several resolutions: its columns, their protocols, and the command."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cli.run import run
from benchmarks.run_options import RunOptions
from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.suite.resolutions import name_at, suite_at
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.registry import get_task
from umt.errors import UMTError

SUITE = """
title: One
about: k-NN
seeds: 1
embedded_data: true
tables:
  neighbours:
    title: Neighbours
    columns:
      - {heading: CUB, task: knn, dataset: cub, protocol: mini, metric: top1}
"""


def test_each_column_is_measured_at_each_resolution(tmp_path: Path) -> None:
    suite = suite_at(load_suite("mini"), [64, 128], tmp_path)
    before = [column for column in load_suite("mini").columns if column.task not in ("ade20k_linear", "nyuv2_depth")]
    assert [column.heading for column in suite.columns] == [
        f"{column.heading} {pixels}" for column in before for pixels in (64, 128)
    ]
    for column in suite.measured:
        settings = get_task(column.task).settings
        protocol = load_protocol(column.task, column.protocol, settings)
        assert protocol.name == f"{Path(column.protocol).stem}"
        assert protocol.settings.resolution == int(column.protocol_name.rpartition("-")[2])


@pytest.mark.parametrize("name", protocol_names("knn"))
def test_nothing_else_of_a_protocol_changes(tmp_path: Path, name: str) -> None:
    suite = load_suite("mini")
    (column,) = [column for column in suite.measured if (column.task, column.dataset) == ("knn", "cub")]
    one = replace(suite, tables={"one": replace(suite.tables["probes"], columns=(replace(column, protocol=name),))})
    settings = get_task("knn").settings
    original = load_protocol("knn", name, settings)
    (changed,) = [load_protocol("knn", at.protocol, settings) for at in suite_at(one, [448], tmp_path).columns]
    assert changed.settings == replace(original.settings, resolution=448)
    assert (changed.version, changed.footnote) == (original.version, original.footnote)
    (same,) = suite_at(one, [original.settings.resolution], tmp_path).columns
    assert load_protocol("knn", same.protocol, settings).hash == original.hash


def test_a_suite_without_resolutions_is_refused(tmp_path: Path) -> None:
    suite = load_suite("mini")
    dense = tuple(column for column in suite.columns if column.task == "ade20k_linear")
    alone = replace(suite, tables={"one": replace(suite.tables["probes"], columns=dense)})
    with pytest.raises(UMTError, match="no task of suite 'mini' has a resolution"):
        suite_at(alone, [224], tmp_path)


def test_the_name_says_the_resolutions() -> None:
    assert name_at("vfm", (224, 448)) == "vfm-at-224-448"


def test_what_is_no_resolution_is_named() -> None:
    assert "is no list of pixels; write 224,448" in CliRunner().invoke(run, ["--resolutions", "224,large"]).output
    with pytest.raises(UMTError, match="resolutions are 224, 0; take 1 pixel or more"):
        RunOptions((), "mini", resolutions=(224, 0))


@pytest.mark.slow
def test_the_table_has_a_column_for_each(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(SUITE)
    command = ["--backbone", "timm:test_vit?pretrained=false", "--suite", str(tmp_path / "one.yaml")]
    command += ["--resolutions", "64,96", "--device", "cpu", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(run, command)
    assert result.exit_code == 0, result.output
    with (tmp_path / "out/tables/neighbours.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert sum(name.endswith("(%) ↑") for name in row) == 2, row
