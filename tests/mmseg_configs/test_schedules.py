"""The published schedules: their values, on a real optimiser and after an interruption."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from torch.optim.lr_scheduler import OneCycleLR

from mmseg_configs.schedules import FallingWarmupLR, annealed, one_cycle

TOTAL, WARMUP = 30, 10
ANNEAL = OneCycleLR._annealing_cos


def make(optimizer: torch.optim.Optimizer) -> list:  # type: ignore[type-arg]
    declared = one_cycle(total=TOTAL, warmup=WARMUP, start=1e-3)
    return [PARAM_SCHEDULERS.build(item, default_args={"optimizer": optimizer}) for item in declared]


def fresh() -> torch.optim.AdamW:
    return torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))], lr=3e-4, betas=(0.9, 0.99))


def run(optimizer: torch.optim.Optimizer, schedulers: list, steps: int) -> list[tuple[float, float]]:  # type: ignore[type-arg]
    seen = []
    for _ in range(steps):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["betas"][0]))
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def expected(step: int) -> tuple[float, float]:
    """From the published code: the ramp times half a cosine, then torch's own annealing."""
    if step < WARMUP:
        half = (1 + math.cos(math.pi * step / TOTAL)) / 2
        return 3e-4 / 1000 + 3e-4 * half * step / WARMUP, 0.0
    lr = ANNEAL(3e-4, 3e-4 / 25 / 1000, (step + 1) / TOTAL)
    return lr, ANNEAL(0.85, 0.95, (step - WARMUP) / (TOTAL - WARMUP))


def test_values_are_the_published_ones() -> None:
    optimizer = fresh()
    seen = run(optimizer, make(optimizer), TOTAL)
    for step, values in enumerate(seen):
        assert values == pytest.approx(expected(step), rel=1e-9)
    assert seen[-1][0] == pytest.approx(3e-4 / 25_000)
    assert optimizer.param_groups[0]["betas"][1] == 0.99


def test_it_goes_on_after_an_interruption() -> None:
    first = fresh()
    schedulers = make(first)
    run(first, schedulers, 12)
    second = fresh()
    resumed = make(second)
    second.load_state_dict(first.state_dict())
    for scheduler, old in zip(resumed, schedulers, strict=True):
        scheduler.load_state_dict(old.state_dict())
    assert run(second, resumed, 5) == run(first, schedulers, 5)


FALLING_LR, FALLING_TOTAL, FALLING_WARMUP, RATIO = 1e-3, 40, 8, 1e-6


def rates(curve: str) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=FALLING_LR)
    scheduler = FallingWarmupLR(optimizer, end=FALLING_TOTAL, warmup=FALLING_WARMUP, start=RATIO, curve=curve)
    seen = []
    for _ in range(FALLING_TOTAL):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def mmcv_poly(step: int) -> float:
    """mmcv's poly of power 1 with linear warm-up: what the policy gives, less the share k of the warm-up."""
    regular = FALLING_LR * (1 - step / FALLING_TOTAL)
    k = (1 - step / FALLING_WARMUP) * (1 - RATIO) if step < FALLING_WARMUP else 0.0
    return regular * (1 - k)


def test_dinov2s_is_mmcvs_poly() -> None:
    assert rates("linear") == pytest.approx([mmcv_poly(step) for step in range(FALLING_TOTAL)])


def test_dinov3s_is_a_cosine_after_the_same_warmup() -> None:
    """Its training step calls the scheduler `if global_step > 0`: the first rate holds for two steps."""
    cosine = [
        FALLING_LR / 2 * (1 + math.cos(math.pi * (step + 1) / FALLING_TOTAL))
        for step in range(FALLING_WARMUP, FALLING_TOTAL)
    ]
    scheduled = [*(mmcv_poly(step) for step in range(FALLING_WARMUP)), *cosine]
    assert rates("cosine") == pytest.approx([scheduled[0], *scheduled[:-1]])
    assert rates("cosine")[0] == rates("cosine")[1] == FALLING_LR * RATIO


def test_dinov2s_depth_is_mmcvs_annealing_with_torchs_momentum() -> None:
    """mmcv's CosineAnnealing under a linear warm-up, and the momentum of one cycle, which is torch's own."""
    optimizer, reference = fresh(), fresh()
    torchs = OneCycleLR(reference, 1.0, total_steps=TOTAL)
    declared = annealed(total=TOTAL, warmup=WARMUP, start=1e-3)
    schedulers = [PARAM_SCHEDULERS.build(item, default_args={"optimizer": optimizer}) for item in declared]
    for step, (lr, beta) in enumerate(run(optimizer, schedulers, TOTAL)):
        regular = ANNEAL(3e-4, 3e-4 * 1e-8, step / TOTAL)
        k = (1 - step / WARMUP) * (1 - 1e-3) if step < WARMUP else 0.0
        assert lr == pytest.approx(regular * (1 - k), rel=1e-9)
        assert beta == pytest.approx(reference.param_groups[0]["betas"][0], rel=1e-9)
        reference.step()
        if step < TOTAL - 1:
            torchs.step()
    assert optimizer.param_groups[0]["betas"][1] == 0.99
