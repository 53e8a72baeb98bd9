"""The wheel holds the packages with all their data, without the tools of developers, and works outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
PACKAGES = ("umt", "benchmarks", "mmseg_configs", "depth", "reports")
NOT_INSTALLED = ("benchmarks/perf/", "benchmarks/reproduction/")
OTHERS = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
COMMANDS = """
import sys
from click.testing import CliRunner
import reports.cli, reports.writers.html, reports.writers.latex, umt
from umt.cli import cli
assert umt.__file__.startswith(sys.argv[1]), umt.__file__
for line in ("--help", "run --help", "protocols list", "recipes", "data list", "backbones list test_vit"):
    done = CliRunner().invoke(cli, line.split())
    assert done.exit_code == 0 and done.output, (line, done.output, done.exception)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, since a build writes into its folder."""
    copy = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in OTHERS:
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "."], check=True, cwd=source)
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_every_file_but_the_tools_of_developers(wheel: Path) -> None:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in files if path.parent.name != "__pycache__"}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == {name for name in names if not name.startswith(NOT_INSTALLED)}


def test_commands_work_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(site)],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
