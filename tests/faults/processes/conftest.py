"""A k-NN suite on a few images whose backbone goes wrong once, on request."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from umt.cli import cli
from umt.errors import UMTError

FAULTY = Path(__file__).parent / "faulty.py"
SUITE = """
title: Faults
about: test
seeds: 1
embedded_data: false
example: []
tables:
  table1:
    title: Title
    columns:
      - {heading: kNN, task: knn, dataset: imagenet, protocol: small, metric: top1}
"""


@dataclass(frozen=True)
class Broken:
    """A suite, the backbone of which springs a trap where it is set."""

    folder: Path
    data_root: Path

    @property
    def faulty(self) -> Path:
        """The file of the backbones that go wrong."""
        return FAULTY

    @property
    def trap(self) -> Path:
        return self.folder / "trap"

    @property
    def sprung(self) -> bool:
        return Path(f"{self.trap}.sprung").exists()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def command(self, fault: str, *more: str, **options: int) -> list[str]:
        more_options = "".join(f"&{name}={value}" for name, value in options.items())
        spec = f"broken={FAULTY}:faulty?fault={fault}&trap={self.trap}{more_options}"
        where = ["--suite", str(self.folder / "faults.yaml"), "--data-root", str(self.data_root)]
        return ["run", "--backbone", spec, *where, "--out", str(self.out), "--device", "cpu", *more]

    def run(self, fault: str, *more: str, **options: int) -> tuple[int, str]:
        """Exit status and what was said, in this process, whose fork server is warm after the first time."""
        done = CliRunner().invoke(cli, self.command(fault, *more, **options))
        if isinstance(done.exception, UMTError):
            return 2, str(done.exception)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    def start(self, fault: str, *more: str) -> subprocess.Popen[str]:
        """The same, beside this process."""
        command = [sys.executable, "-m", "umt.cli", *self.command(fault, *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def results(self) -> dict[str, dict[str, float]]:
        """Metrics of each backbone that has a result."""
        records = [json.loads(path.read_text()) for path in (self.out / "results").glob("*/*.json")]
        return {record["key"]["backbone"]: record["metrics"] for record in records}


@pytest.fixture
def broken(make_broken: Callable[[], Broken], monkeypatch: pytest.MonkeyPatch) -> Broken:
    monkeypatch.setenv("COLUMNS", "400")
    return make_broken()


@pytest.fixture(scope="session")
def make_broken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Broken]:
    """A suite whose trap is set; its 72 training images are three batches of a frozen backbone, its 8 others one."""

    def make() -> Broken:
        folder = tmp_path_factory.mktemp("broken")
        write_images(folder / "data" / "imagenet")
        (folder / "faults.yaml").write_text(SUITE)
        (folder / "trap").touch()
        return Broken(folder, folder / "data")

    return make


def write_images(root: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 36), ("val", 4)):
        for label in range(2):
            folder = root / split / f"n{label:08d}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(60 * label, 60 * label + 190, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
