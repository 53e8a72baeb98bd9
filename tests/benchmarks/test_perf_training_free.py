"""The rows without training run on few images, in the same order as on a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.perf.training_free import SUITE, THOUSAND, run_rows, write_data
from benchmarks.suite.suite import load_suite

FEW = {
    "cub": (2, 2),
    "roxford5k": (2, 3),
    "ade20k": (2, 1),
    "spair": (2, 2, 2),
    "navi": (2, 8),
    "scannet_pairs": (2, 3),
    "davis2017": (1, 1),
}


@pytest.mark.slow
def test_every_row_runs_and_the_last_line_has_the_minutes(tmp_path: Path) -> None:
    write_data(tmp_path / "data", FEW)
    lines = list(run_rows("timm:test_vit?pretrained=false&dynamic_img_size=true", tmp_path / "data", tmp_path / "out"))
    assert len(lines) == len(load_suite(str(SUITE)).measured) + 1
    assert lines[-1].endswith("CPU minutes in all, at most 30")


def test_it_has_the_tasks_of_the_suite_frozen() -> None:
    frozen = load_suite("frozen")
    assert load_suite(str(SUITE)).tasks == frozen.tasks
    assert load_suite(str(SUITE)).bases == THOUSAND.keys()
