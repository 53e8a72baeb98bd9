"""A small suite around a task from outside, run through the real command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.results import Data, Environment, Key, Result
from umt.cli import cli
from umt.errors import UMTError

PLUGINS = Path(__file__).parent / "plugins"
BACKBONE = "timm:test_resnet?pretrained=false"


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """A result whose key and metrics can be chosen."""

    def make(metrics: dict[str, float] | None = None, **key: object) -> Result:
        fields = {
            "backbone": "resnet50",
            "weights_hash": "ab" * 32,
            "task": "knn",
            "dataset": "cub",
            "protocol": "paper",
            "protocol_hash": "0123456789ab",
            "data_fingerprint": "fedcba9876543210",
            "seed": 0,
        }
        return Result(
            key=Key(**{**fields, **key}),  # type: ignore[arg-type]
            spec="timm:resnet50",
            architecture="resnet50",
            suite="paper",
            protocol_version=1,
            metrics=metrics or {"top1": 80.5},
            units={"top1": "%"},
            lower_is_better=[],
            data=Data("CUB-200-2011", "", True, {"train": 5994, "test": 5794}, "data/CUB_200_2011"),
            environment=Environment("c0ffee", False, {"torch": "2.14"}, "cpu", "3.11", "2026-01-01T00:00:00+00:00"),
            wall_seconds=1.5,
        )

    return make


@dataclass(frozen=True)
class Ended:
    """The end of a command, as its caller sees it."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class SmallSuite:
    """A suite file with one column for each named behaviour of the task, and the command that runs it."""

    file: Path
    data_root: Path
    out: Path

    def command(self, *arguments: str, backbone: str = BACKBONE) -> list[str]:
        options = ["--suite", str(self.file), "--data-root", str(self.data_root), "--out", str(self.out)]
        return [sys.executable, "-m", "umt.cli", "run", "--backbone", f"tiny={backbone}", *options, *arguments]

    def run(self, *arguments: str, **options: str) -> Ended:
        """Run the command in this process, whose fork server is warm after the first time."""
        done = CliRunner().invoke(cli, self.command(*arguments, **options)[3:])
        if isinstance(done.exception, UMTError):
            return Ended(2, done.stdout, str(done.exception))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ended(done.exit_code, done.stdout, done.stderr)

    def results(self) -> list[Path]:
        return sorted((self.out / "results").glob("*/*.json"))


@pytest.fixture
def small_suite(
    tmp_path: Path, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SmallSuite]:
    monkeypatch.syspath_prepend(PLUGINS)  # the fork server gives it to every job
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("COLUMNS", "200")

    def make(**behaviours: str) -> SmallSuite:
        """`name="behaviour"` or `name="behaviour, seconds"` makes a protocol of that name and its column."""
        columns = []
        for name, text in (behaviours or {"plain": "ok"}).items():
            behaviour, _, seconds = text.partition(",")
            protocol = tmp_path / f"{name}.yaml"
            protocol.write_text(f"version: 1\nabout: test\nbehaviour: {behaviour}\nseconds: {seconds or 0}\n")
            what = "task: brightness, dataset: imagenet, metric: brightness"
            columns.append(f"      - {{heading: {name}, protocol: {protocol}, {what}}}")
        suite = tmp_path / "small.yaml"
        head = "title: Small\nabout: test\nseeds: 1\nembedded_data: false\nexample: []\n"
        table = "tables:\n  table1:\n    title: Brightness\n    columns:\n"
        suite.write_text(head + table + "\n".join(columns) + "\n")
        image_folder(tmp_path / "data" / "imagenet")
        return SmallSuite(suite, tmp_path / "data", tmp_path / "out")

    return make
