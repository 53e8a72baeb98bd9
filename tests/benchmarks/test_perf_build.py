"""The benchmark of builds runs, on small models."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.perf import build


@pytest.mark.slow
def test_both_ways_are_measured_on_the_same_weights(tmp_path: Path) -> None:
    limit, peak, seconds = build.rows(build.timm_model("test_vit.r160_in1k"), tmp_path / "timm")
    assert limit.ours == peak.ours
    assert (limit.theirs, limit.unit) == (1.2, "x weights")
    assert 0 < seconds.ours < 60
    assert 0 < seconds.theirs < 60
