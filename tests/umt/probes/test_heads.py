"""Batched heads against one module, one optimiser and one schedule a head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umt.probes.heads import Heads

RATES = (1e-3, 0.1, 2.0)
STEPS = 25


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(16, 6, generator=generator), torch.randint(0, 4, (16,), generator=generator)) for _ in range(STEPS)
    ]


def modules(heads: Heads) -> list[nn.Linear]:
    """Return a torch module for each head, with its weights."""
    peers = []
    for index, rate in enumerate(RATES):
        module = nn.Linear(6, 4)
        with torch.no_grad():
            module.weight.copy_((rate * heads.weights).view(6, len(RATES), 4)[:, index].T)
            module.bias.zero_()
        peers.append(module)
    return peers


def test_training_equals_torchs_sgd_of_each_head() -> None:
    heads = Heads(6, 4, RATES, torch.Generator().manual_seed(1))
    peers = modules(heads)
    optimisers = [torch.optim.SGD(heads.parameters(), lr=1.0, momentum=0.9)]
    optimisers += [torch.optim.SGD(m.parameters(), lr=r, momentum=0.9) for m, r in zip(peers, RATES, strict=True)]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS) for optimiser in optimisers]
    for features, targets in batches():
        expected = torch.stack([F.cross_entropy(module(features), targets) for module in peers])
        losses = heads.losses(features, targets)
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
        (losses.sum() + expected.sum()).backward()
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    features = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    logits = torch.stack([module(features) for module in peers], dim=1)
    torch.testing.assert_close(heads.scores(features), logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(heads.predict(features), logits.argmax(dim=2))


def test_the_loss_of_a_hopeless_head_is_a_number() -> None:
    """The share of the right class is 0 in fp32; the other heads train on."""
    heads = Heads(6, 4, (1e-3, 1e4), torch.Generator().manual_seed(1))
    with torch.no_grad():
        heads.weights.mul_(1e6)
    losses = heads.losses(*batches()[0])
    assert losses.isfinite().all()
    assert losses[1] > 200


def test_first_weights_have_dinov2s_deviation() -> None:
    heads = Heads(400, 50, RATES, torch.Generator().manual_seed(0))
    first = heads.weights.detach().view(400, len(RATES), 50) * heads.rates
    assert first.std(dim=(0, 2)).tolist() == pytest.approx([0.01] * 3, rel=0.02)
    assert not torch.equal(first[:, 0], first[:, 1])
