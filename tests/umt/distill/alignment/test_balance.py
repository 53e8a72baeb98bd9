"""The sum of losses: plain, balanced by magnitude, gradient or learned variances, and with teachers left out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from umt.distill.alignment.balance import GRADIENT_STEPS, MOMENTUM, Balance, gradient_norms, value_at
from umt.distill.recipe import AlignmentSpec
from umt.errors import UMTError

ONES = torch.ones(3)
NOTHING = torch.zeros(())  # where no gradient is asked for


def test_the_papers_sum_is_plain() -> None:
    assert Balance(AlignmentSpec(), 2)(torch.tensor([1.0, 100.0]), torch.ones(2), NOTHING).item() == 101


def test_weights_multiply_their_losses() -> None:
    assert Balance(AlignmentSpec(), 2)(torch.tensor([1.0, 100.0]), torch.tensor([3.0, 0.5]), NOTHING).item() == 53


def test_magnitude_makes_losses_equal_and_keeps_their_mean_weight() -> None:
    balance = Balance(AlignmentSpec(balance="magnitude"), 3)
    losses = torch.tensor([1.0, 10.0, 100.0], requires_grad=True)
    balance(losses, ONES, NOTHING).backward()
    weights = losses.grad
    assert weights is not None
    assert torch.allclose(weights * losses, (weights * losses)[0].expand(3))
    assert weights.mean().item() == pytest.approx(1)
    balance(2 * losses, ONES, NOTHING)
    assert torch.allclose(balance.running, losses * (MOMENTUM + 2 * (1 - MOMENTUM)))


def losses_of(shared: Tensor) -> Tensor:
    """Losses whose gradients at `shared` have the norms 1, 10 and 0.1 times that of the first."""
    return torch.stack([shared.square().sum(), 10 * shared.square().sum(), 0.1 * shared.square().sum()])


def test_gradient_gives_every_loss_a_gradient_of_the_same_norm() -> None:
    shared = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    balance = Balance(AlignmentSpec(balance="gradient"), 3)
    norms = gradient_norms(losses_of(shared), shared)
    assert norms.tolist() == pytest.approx([value * 2 * shared.norm().item() for value in (1, 10, 0.1)])
    factors = balance._factors(losses_of(shared), shared)
    assert (factors * norms).tolist() == pytest.approx([(factors * norms)[0].item()] * 3)
    assert factors.mean().item() == pytest.approx(1)


def test_gradients_are_measured_at_their_interval_only() -> None:
    shared = torch.ones(2, requires_grad=True)
    balance = Balance(AlignmentSpec(balance="gradient"), 3)
    balance(losses_of(shared), ONES, shared)
    before = balance.running.clone()
    balance.step = 1
    balance(losses_of(5 * shared), ONES, shared)
    assert torch.equal(balance.running, before)
    balance.step = GRADIENT_STEPS
    balance(losses_of(5 * shared), ONES, shared)
    assert (balance.running > before).all()


def test_uncertainty_has_its_minimum_at_the_losses_own_size() -> None:
    """exp(-s) L + s is smallest at s = log L, where every weighted loss is 1."""
    balance = Balance(AlignmentSpec(balance="uncertainty"), 3)
    losses = torch.tensor([0.5, 4.0, 30.0])
    optimiser = torch.optim.Adam(balance.parameters(), lr=0.1)
    for _ in range(500):
        optimiser.zero_grad()
        balance(losses, ONES, NOTHING).backward()
        optimiser.step()
    assert balance.log_variances is not None
    assert balance.log_variances.tolist() == pytest.approx(losses.log().tolist(), abs=1e-3)


def test_teacher_drop_keeps_the_worst_and_drops_others_at_its_rate() -> None:
    torch.manual_seed(0)
    balance = Balance(AlignmentSpec(teacher_drop=0.25), 3)
    losses = torch.tensor([0.1, 0.3, 0.2])[:, None].repeat(1, 4000)
    losses[:, 2000:] = losses[[1, 0, 2], 2000:]  # another teacher is the worst for the other half of the images
    kept = balance._mask(losses)
    assert (kept[1, :2000] == 1).all()
    assert (kept[0, 2000:] == 1).all()
    assert kept[2].mean().item() == pytest.approx(0.75, abs=0.02)
    assert kept[0, :2000].mean().item() == pytest.approx(0.75, abs=0.03)


def test_schedules_are_lines_between_their_points() -> None:
    schedule = ((0.2, 1.0), (0.6, 3.0))
    assert [value_at(schedule, share) for share in (0, 0.2, 0.3, 0.6, 1)] == pytest.approx([1, 1, 1.5, 3, 3])
    assert value_at(2.0, 0.7) == 2.0


def test_errors_name_the_field() -> None:
    with pytest.raises(UMTError, match=r"unknown alignment.balance 'ema'.*magnitude"):
        Balance(AlignmentSpec(balance="ema"), 2)
    with pytest.raises(UMTError, match=r"alignment.teacher_drop is 1.0"):
        Balance(AlignmentSpec(teacher_drop=1.0), 2)
