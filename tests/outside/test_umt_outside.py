"""A package that pip installs adds a backbone, a task and an objective of teachers; the suite works with all."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

PACKAGE = Path(__file__).parent / "umt_outside"
ROOT = Path(__file__).parents[2]
Umt = Callable[..., str]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's folder, since a build writes into it."""
    return Path(shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / "umt_outside"))


@pytest.fixture(scope="module")
def umt(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Umt:
    """`umt` where the package is installed, in an empty folder; what it printed."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(package)], check=True)
    path = os.pathsep.join([str(site), str(ROOT)])

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "umt.cli", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_its_backbone_is_listed_and_keeps_the_contract(umt: Umt) -> None:
    assert umt("backbones", "list", "two-stages") == "two-stages\n"
    assert "checks passed" in umt("backbones", "check", "two-stages?width=8")


@pytest.mark.slow
def test_its_objective_teaches_and_its_task_measures(
    umt: Umt, package: Path, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Three steps of distillation, then backbone, student and space are rows of the column of the task."""
    data, out = tmp_path / "data", tmp_path / "out"
    image_folder(data / "imagenet", train=6, side=64)
    sources = ["--data-root", str(data), "--device", "cpu"]
    umt("distill", "--recipe", str(package / "recipe.yaml"), *sources, "--out", str(tmp_path / "student"))
    student = tmp_path / "student/student.pth"
    rows = {"two stages": "two-stages", "student": str(student), "its space": f"{student}#gem"}
    named = [part for label, spec in rows.items() for part in ("--backbone", f"{label}={spec}")]
    umt("run", *named, "--suite", str(package / "suite.yaml"), *sources, "--out", str(out))

    results = [json.loads(path.read_text()) for path in (out / "results").glob("*/*.json")]
    measured = {result["key"]["backbone"]: result["metrics"]["precision_at_1"] for result in results}
    assert measured.keys() == rows.keys()
    steps = [json.loads(line) for line in (tmp_path / "student/log.jsonl").read_text().splitlines()]
    assert max(step.get("step", 0) for step in steps) == 3
    with (out / "tables/nearest.csv").open() as file:
        table = list(csv.DictReader(file))
    (column,) = [name for name in table[0] if name.endswith("precision_at_1 (%) ↑")]
    assert {row["Backbone"]: float(row[column]) for row in table} == measured


def test_its_data_set_is_a_table(umt: Umt, package: Path, tmp_path: Path) -> None:
    """k-NN and linear probe on Stanford Dogs' layout, which the package declares in one file."""
    data, out = tmp_path / "data", tmp_path / "out"
    for split, count in (("train", 4), ("test", 2)):
        for shade, breed in enumerate(("basenji", "beagle", "borzoi")):
            for number in range(count):
                path = data / "stanford-dogs" / split / breed / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), (100 * shade, 20 * number, 0)).save(path)
    assert "dogs: Stanford Dogs (classification, 120 classes)" in umt("data", "list")
    named = ["--backbone", "two stages=two-stages", "--suite", str(package / "dogs.yaml")]
    umt("run", *named, "--data-root", str(data), "--device", "cpu", "--out", str(out))
    with (out / "tables/table1.csv").open() as file:
        (row,) = csv.DictReader(file)
    results = [json.loads(path.read_text()) for path in (out / "results").glob("*/*.json")]
    metrics = {result["key"]["task"]: result["metrics"] for result in results}
    shown = {name.rpartition(" / ")[2]: value for name, value in row.items() if name.endswith("(%) ↑")}
    assert {float(value) for value in shown.values()} == {
        metrics["finegrained_linear"]["accuracy"],
        metrics["knn"]["top1"],
    }
    assert {result["data"]["title"] for result in results} == {"Stanford Dogs layout, 18 items"}


def test_its_files_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs/extend.md").read_text()
    shown = dict(re.findall(r"```(?:python|toml|yaml)\n# (\S+)\n(.*?)```", page, flags=re.DOTALL))
    files = [path for path in PACKAGE.rglob("*.*") if path.suffix in (".py", ".toml", ".yaml")]
    written = {str(path.relative_to(PACKAGE)): path.read_text() for path in files if path.name != "__init__.py"}
    assert shown == written
