"""The published schedules, step by step."""

from __future__ import annotations

import math

import pytest
import torch

from mmseg_configs.from_start import FallingWarmupLR

LR, TOTAL, WARMUP, RATIO = 1e-3, 40, 8, 1e-6


def rates(curve: str) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = FallingWarmupLR(optimizer, end=TOTAL, warmup=WARMUP, start=RATIO, curve=curve)
    seen = []
    for _ in range(TOTAL):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def mmcv_poly(step: int) -> float:
    """mmcv's poly of power 1 with linear warm-up: what the policy gives, less the share k of the warm-up."""
    regular = LR * (1 - step / TOTAL)
    k = (1 - step / WARMUP) * (1 - RATIO) if step < WARMUP else 0.0
    return regular * (1 - k)


def test_dinov2s_is_mmcvs_poly() -> None:
    assert rates("linear") == pytest.approx([mmcv_poly(step) for step in range(TOTAL)])


def test_dinov3s_is_a_cosine_after_the_same_warmup() -> None:
    cosine = [LR / 2 * (1 + math.cos(math.pi * (step + 1) / TOTAL)) for step in range(WARMUP, TOTAL)]
    assert rates("cosine") == pytest.approx([*(mmcv_poly(step) for step in range(WARMUP)), *cosine])
    assert rates("cosine")[-1] == pytest.approx(0, abs=1e-12)
