"""The tables by size run, on few files and features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks.perf import sizes
from benchmarks.tasks.dinov2_linear import FrozenParts


def test_every_line_is_measured_at_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "FOLDERS", 10)
    rows = sizes.rows(200, repeats=1)
    assert [row.job.partition(" of ")[0] for row in rows] == ["index", "fingerprint", "a batch", "k-NN"]
    assert all("200 images" in row.job or "among 200" in row.job for row in rows)
    assert [row.note for row in rows[:2]] == ["equal", "equal"]


def test_both_ways_gather_the_same_batch() -> None:
    parts = {"mean:-1": np.random.default_rng(0).standard_normal((20, 3), dtype=np.float32)}
    rows = np.array([3, 19, 3])
    gathered = FrozenParts(parts, np.zeros(20, dtype=int)).batch(rows)["parts"]
    assert torch.equal(gathered["mean:-1"], sizes._collated(parts, rows)["mean:-1"])


def test_fewer_images_than_classes_are_refused() -> None:
    done = CliRunner().invoke(sizes.main, ["--images", "10"])
    assert done.exit_code == 2
    assert "--images" in done.output
