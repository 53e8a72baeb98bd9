"""The objective of a linear probe: its values against torch's, and the memory of its points."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from umt.probes.objective import Point, SoftmaxObjective

IMAGES, WIDTH, CLASSES, PENALTY = 60, 8, 5, 2.0


@pytest.fixture
def objective() -> SoftmaxObjective:
    rows = torch.randn(IMAGES, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return SoftmaxObjective.of(rows - rows.mean(dim=0), torch.arange(IMAGES) % CLASSES)


def drawn(objective: SoftmaxObjective, seed: int) -> Point:
    weights = torch.randn(WIDTH, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return objective.at(weights, torch.zeros(CLASSES, dtype=torch.float64), PENALTY)


def test_a_point_has_torchs_loss_and_gradient(objective: SoftmaxObjective) -> None:
    drawn(objective, 1)  # whose memory is used again
    point = drawn(objective, 2)
    weights = point.weights.clone().requires_grad_()
    loss = cross_entropy(objective.rows @ weights + point.bias, objective.targets, reduction="sum")
    loss.backward()
    assert point.loss == pytest.approx(loss.item(), rel=1e-12)
    torch.testing.assert_close(point.slope, weights.grad, rtol=1e-10, atol=1e-10)


def test_the_memory_of_points_that_are_gone_is_used_again(objective: SoftmaxObjective) -> None:
    lasting = drawn(objective, 1)
    before = lasting.errors.clone(), lasting.logits.clone()
    gone = drawn(objective, 2)
    addresses = {gone.errors.data_ptr(), gone.logits.data_ptr()}
    del gone
    point = objective.between([lasting, drawn(objective, 3)], [0.5, 0.5], PENALTY)
    assert {tensor.data_ptr() for tensor in (lasting.errors, lasting.logits)}.isdisjoint(addresses)
    assert torch.equal(lasting.errors, before[0])
    assert torch.equal(lasting.logits, before[1])
    again = drawn(objective, 4)
    assert {again.errors.data_ptr(), again.logits.data_ptr()} == addresses
    torch.testing.assert_close(point.logits, objective.rows @ point.weights)
