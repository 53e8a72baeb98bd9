"""The feature cache of a suite through its command line: where it lies, and that runs share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]


@dataclass(frozen=True)
class Run:
    """A suite of two k-NN protocols that look at the same pixels, and of one that does not."""

    small: Any
    out: Path

    def __call__(self, *arguments: str) -> None:
        done = replace(self.small, out=self.out).run(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout


@pytest.fixture
def run(small_suite: Make, tmp_path: Path) -> Run:
    suite = small_suite()
    columns = []
    for name, side, k in (("near", 32, 1), ("far", 32, 3), ("large", 64, 1)):
        protocol = tmp_path / f"{name}.yaml"
        settings = f"resolution: {side}\ncrop_pct: 1.0\nk: {k}\nother_k: []\ntemperature: 0.07\n"
        protocol.write_text(f"version: 1\nabout: test\n{settings}")
        columns.append(
            f"      - {{heading: {name}, task: knn, dataset: imagenet, protocol: {protocol}, metric: top1}}\n"
        )
    head, _, _ = suite.file.read_text().partition("columns:\n")
    suite.file.write_text(f"{head}columns:\n{''.join(columns)}")
    return Run(suite, tmp_path / "out")


def arrays(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}


def test_jobs_share_what_looks_at_the_same_pixels(run: Run) -> None:
    """Training and test images at two resolutions; jobs run side by side."""
    run("--workers", "2")
    assert len(arrays(run.out / "cache")) == 4


def test_runs_share_a_cache_that_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--cache", str(tmp_path / "shared"))
    before = arrays(tmp_path / "shared")
    assert len(before) == 4
    monkeypatch.setenv("UMT_CACHE", str(tmp_path / "shared"))
    replace(run, out=tmp_path / "second")()
    assert arrays(tmp_path / "shared") == before
    assert not (tmp_path / "second" / "cache").exists()
