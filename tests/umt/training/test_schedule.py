"""Learning rates against their closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from umt.training.schedule import warmup_then


def learning_rates(policy: str, total: int, warmup: int) -> list[list[float]]:
    """Rates of two groups with peaks 1 and 0.1 in every step."""
    groups: list[dict[str, Any]] = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.1)]
    wrapper = OptimWrapper(torch.optim.AdamW(groups))
    schedulers = [
        PARAM_SCHEDULERS.build({**declared, "optimizer": wrapper})
        for declared in warmup_then(policy, total=total, warmup=warmup)
    ]
    rates = []
    for _ in range(total):
        rates.append([group["lr"] for group in wrapper.param_groups[:2]])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


@pytest.mark.parametrize("warmup", [0, 1, 2, 10])
@pytest.mark.parametrize("policy", ["cosine", "linear"])
def test_decay_follows_the_formula_and_keeps_the_groups_apart(policy: str, warmup: int) -> None:
    rates = learning_rates(policy, total=50, warmup=warmup)
    for step in range(warmup, 50):
        done, steps = step - warmup, 50 - warmup
        expected = (1 + math.cos(math.pi * done / steps)) / 2 if policy == "cosine" else 1 - done / (steps - 1)
        assert rates[step] == pytest.approx([expected, 0.1 * expected], rel=1e-9, abs=1e-12)


def test_warmup_is_linear_to_the_peak() -> None:
    rates = [first for first, _ in learning_rates("cosine", total=50, warmup=10)]
    assert rates[0] == pytest.approx(1e-3)
    steps = [after - before for before, after in pairwise(rates[:10])]
    assert steps == pytest.approx([steps[0]] * 9)
    assert rates[9] == pytest.approx(1.0)
    assert rates[10] == pytest.approx(1.0)
