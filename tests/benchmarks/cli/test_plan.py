"""`umt plan`: the cost of a suite through the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml
from click.testing import CliRunner

from benchmarks.results import Result, ResultStore
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.cli import cli
from umt.errors import UMTError

SPEC = "timm:test_resnet?pretrained=false"


def write_suite(folder: Path, *tasks: str) -> str:
    column = {"dataset": "cub", "protocol": "mini", "metric": "accuracy"}
    columns = [{"heading": task, "task": task, **column} for task in tasks]
    suite = {"title": "t", "about": "t", "seeds": 2, "embedded_data": False, "example": [], "columns": columns}
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    return str(folder / "suite.yaml")


def plan(folder: Path, suite: str, *more: str) -> tuple[BaseException | None, str]:
    command = ["plan", "--backbone", f"tiny={SPEC}", "--suite", suite, "--device", "cpu", "--data-root", str(folder)]
    done = CliRunner().invoke(cli, [*command, "--out", str(folder / "out"), *more])
    return done.exception, done.output


def test_absent_data_count_by_official_sizes_and_results_check_the_ranges(
    tmp_path: Path, make_result: Callable[..., Result]
) -> None:
    """Probes that share their features; a store says that one job took 1.5 s, which is less, and one 10^6 s."""
    store = ResultStore(tmp_path / "results")
    store.write(make_result(backbone="tiny", task="finegrained_linear", protocol="mini"))
    store.write(replace(make_result(backbone="tiny", task="fewshot", protocol="mini"), wall_seconds=5.0))
    store.write(replace(make_result(backbone="tiny", task="knn", protocol="mini"), wall_seconds=1e6))
    suite = write_suite(tmp_path, "finegrained_linear", "fewshot", "knn")
    error, output = plan(tmp_path, suite, "--gpus", "2", "--check", str(tmp_path / "results"))
    assert error is None, output
    hours = re.search(r"(\d+) jobs: ([\d.]+) to ([\d.]+) device hours, .* on 2 devices", output)
    assert hours
    assert int(hours[1]) == 2 + 2 + (1 if not get_task("knn").seeded else 2)
    assert float(hours[2]) <= float(hours[3])
    megabytes = 4 * create_backbone(SPEC).dim * (5994 + 5794) / 1e6
    assert f"official data sets 1 GB, features {megabytes:.0f} MB" in output
    assert re.search(r"check: [12] of 3 jobs took a time in their range; together 11 d", output)


def test_a_backbone_that_does_not_load_is_a_line_of_the_table(tmp_path: Path) -> None:
    error, output = plan(tmp_path, write_suite(tmp_path, "fewshot"), "--backbone", "timm:no_such_model")
    assert error is None, output
    assert "2 jobs, and 2 of unknown cost" in output
    assert "no_such_model" in output


def test_a_suite_of_no_known_cost_is_an_error(tmp_path: Path) -> None:
    error, output = plan(tmp_path, write_suite(tmp_path, "no_such_task"))
    assert isinstance(error, UMTError)
    assert str(error) == "the cost of no job is known; the table says why"
    assert "no_such_task" in output


def test_it_says_what_to_name() -> None:
    done = CliRunner().invoke(cli, ["plan"])
    assert done.exit_code == 2
    assert "name a checkpoint, or --backbone SPEC" in done.output
