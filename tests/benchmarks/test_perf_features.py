"""The benchmarks of frozen features run, on a tiny model; what they compare gives the same features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.perf import feature_cache, features, features_compiled
from umt.features import Forward

CPU = torch.device("cpu")


def test_extraction_is_compared_with_the_forward_and_with_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "LIMITS", {"test_resnet": 1.15})
    setting = features.FeatureSetting.on(CPU, tmp_path)
    few = features.FeatureSetting(CPU, setting.samples[:4], batch=2, repeats=1)
    forward, timm = features.rows("test_resnet", few)[:2]
    assert (forward.limit, timm.peer) == (1 / 1.15, "timm and a DataLoader, fp32")
    if few.extraction.precision == "fp32":
        assert float(timm.note.removeprefix("max difference ")) < 1e-4


def test_compiled_extraction_is_compared_with_eager_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler itself takes a minute, and has a test of its own."""
    compiled: list[int] = []

    def eager(compute: Forward, batch_size: int) -> Forward:
        compiled.append(batch_size)
        return compute

    monkeypatch.setattr("umt.features._compiled", eager)
    setting = features.FeatureSetting.on(CPU, tmp_path)
    few = features.FeatureSetting(CPU, setting.samples[:5], batch=2, repeats=1)
    row = features_compiled.row("test_resnet", few)
    assert compiled == [2]
    assert (row.peer, row.note) == ("eager", "max difference 0e+00")
    assert row.ours > 0
    assert row.theirs > 0


def test_a_hit_is_compared_with_a_miss_and_equals_it(tmp_path: Path) -> None:
    row = feature_cache.row(CPU, tmp_path, "timm:test_resnet?pretrained=false", 8)
    assert row.note == "equal"
    assert row.ratio > 1
