"""Batched heads against one module, one optimiser and one schedule a head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umt.probes.heads import Heads, cosine

RATES = (1e-3, 0.1, 2.0)
STEPS = 25


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(16, 6, generator=generator), torch.randint(0, 4, (16,), generator=generator)) for _ in range(STEPS)
    ]


def modules(heads: Heads) -> list[nn.Linear]:
    """One torch module for each head, with its weights."""
    found = []
    for index, rate in enumerate(RATES):
        module = nn.Linear(6, 4)
        with torch.no_grad():
            module.weight.copy_((rate * heads.weights).view(6, len(RATES), 4)[:, index].T)
            module.bias.zero_()
        found.append(module)
    return found


def test_training_equals_torchs_sgd() -> None:
    heads = Heads(6, 4, RATES, torch.Generator().manual_seed(1))
    peers = modules(heads)
    for step, (features, targets) in enumerate(batches()):
        heads.step(features, targets, cosine(step, STEPS))
    for module, rate in zip(peers, RATES, strict=True):
        optimiser = torch.optim.SGD(module.parameters(), lr=rate, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        for features, targets in batches():
            optimiser.zero_grad()
            F.cross_entropy(module(features), targets).backward()
            optimiser.step()
            schedule.step()
    features = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    expected = torch.stack([module(features) for module in peers], dim=1)
    torch.testing.assert_close(heads.scores(features), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(heads.predict(features), expected.argmax(dim=2))


def test_first_weights_have_dinov2s_deviation() -> None:
    heads = Heads(400, 50, RATES, torch.Generator().manual_seed(0))
    first = heads.weights.view(400, len(RATES), 50) * heads.rates[:, None]
    assert first.std(dim=(0, 2)).tolist() == pytest.approx([0.01] * 3, rel=0.02)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_schedule_is_a_half_cosine() -> None:
    assert [cosine(step, 4) for step in range(4)] == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4])
