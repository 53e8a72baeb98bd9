"""The site builds without a warning, with the pages that are made from declarations."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks.protocols import load_protocol, protocol_names
from benchmarks.results import Data, Environment, Key, Result
from benchmarks.tasks.registry import get_task, task_names
from umt.data.registry import dataset_info
from umt.distill.recipe import load_recipe

pytest.importorskip("mkdocs", reason="mkdocs builds the site; it comes with umt-bench[docs]")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_page_is_in_the_navigation(site: Path) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f": {page.name}\n" in navigation, f"mkdocs.yml: add {page.name} to nav"
        assert (site / page.stem / "index.html").is_file() or page.stem == "index"


def test_no_program_is_published(site: Path) -> None:
    assert not list(site.glob("*.py"))


def test_every_protocol_is_there_with_its_hash(site: Path) -> None:
    page = (site / "protocol-settings" / "index.html").read_text(encoding="utf-8")
    for task in task_names():
        for name in protocol_names(task):
            assert load_protocol(task, name, get_task(task).settings).hash in page, f"{task}/{name}"


def test_every_field_of_a_result_is_there(site: Path) -> None:
    page = (site / "result-schema" / "index.html").read_text(encoding="utf-8")
    for kind in (Result, Key, Data, Environment):
        for field in fields(kind):
            assert f"<td><code>{field.name}</code></td>" in page, f"{kind.__name__}.{field.name}"


def test_the_work_of_table_1_is_what_the_declarations_say() -> None:
    page = (ROOT / "docs" / "table1.md").read_text(encoding="utf-8")
    epochs = {task: _paper(task).epochs for task in ("imagenet_finetune", "finegrained_finetune")}
    steps = {task: _paper(task).iterations * _paper(task).batch for task in ("ade20k_linear", "nyuv2_depth")}
    images = {name: dataset_info(name).splits for name in ("imagenet", "aircraft", "caltech101", "cub")}
    work = {
        "a student (300 epochs of ImageNet)": round(load_recipe("resnet50").training.epochs)
        * images["imagenet"]["train"],
        "ImageNet, one seed": epochs["imagenet_finetune"] * images["imagenet"]["train"],
        "Aircraft, one seed": epochs["finegrained_finetune"]
        * (images["aircraft"]["train"] + images["aircraft"]["val"]),
        "Caltech-101, one seed": epochs["finegrained_finetune"] * images["caltech101"]["train"],
        "CUB, one seed": epochs["finegrained_finetune"] * images["cub"]["train"],
        "ADE20K, one seed": steps["ade20k_linear"],
        "NYUv2, one seed": steps["nyuv2_depth"],
    }
    for job, count in work.items():
        assert f"| {job} | {count:,.0f} |" in page


def _paper(task: str) -> Any:
    return load_protocol(task, "paper", get_task(task).settings).settings
