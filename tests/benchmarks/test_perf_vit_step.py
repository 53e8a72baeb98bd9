"""The benchmark of a ViT's training step, on a tiny model."""

from __future__ import annotations

import pytest
import torch

from benchmarks.perf import vit_step


def test_both_attentions_are_timed_and_the_model_keeps_its_own() -> None:
    row = vit_step.row("test_vit", 160, 2, limit=2.0)
    assert min(row.ours, row.theirs) > 0
    assert row.job == "training step of test_vit, 160 pixels, 2 images, bf16"


def test_a_device_that_keeps_the_kernel_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert vit_step.measure(torch.device("cpu")) == vit_step.measure(torch.device("cuda")) == []
