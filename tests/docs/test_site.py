"""The site builds without a warning, with the pages that are made from declarations."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks.results import Data, Environment, Key, Result
from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks.contract import Task
from benchmarks.tasks.registry import get_task, task_names
from umt.data.contract import DatasetInfo

pytest.importorskip("mkdocs", reason="mkdocs builds the site; it comes with umt-bench[docs]")
pytestmark = pytest.mark.slow
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


def test_every_interface_is_described(site: Path) -> None:
    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("umt.evaluate", "umt.distill", "Backbone.extract", "DatasetInfo", "Task"):
        assert f"{name}</h" in page, name
    for kind in (DatasetInfo, Task):
        for field in fields(kind):
            assert f"<td><code>{field.name}</code></td>" in page, f"{kind.__name__}.{field.name}"
    assert "<p>None</p>" not in page, "a public function or class has no docstring"


def test_every_field_of_a_result_is_there(site: Path) -> None:
    page = (site / "result-schema" / "index.html").read_text(encoding="utf-8")
    for kind in (Result, Key, Data, Environment):
        for field in fields(kind):
            assert f"<td><code>{field.name}</code></td>" in page, f"{kind.__name__}.{field.name}"
