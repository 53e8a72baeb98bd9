"""Weights of the teachers' losses."""

from __future__ import annotations

import pytest
import torch

from umt.distill.balance import MOMENTUM, Balance
from umt.distill.recipe import AlignmentSpec
from umt.errors import UMTError


def test_the_papers_sum_is_plain() -> None:
    assert Balance(AlignmentSpec(), 2)(torch.tensor([1.0, 100.0])).tolist() == [1, 1]


def test_magnitude_makes_losses_equal_and_keeps_their_mean_weight() -> None:
    balance = Balance(AlignmentSpec(balance="magnitude"), 3)
    losses = torch.tensor([1.0, 10.0, 100.0])
    weights = balance(losses)
    assert torch.allclose(weights * losses, (weights * losses)[0].expand(3))
    assert weights.mean().item() == pytest.approx(1)
    balance(2 * losses)
    assert torch.allclose(balance.running, losses * (MOMENTUM + 2 * (1 - MOMENTUM)))


def test_teacher_drop_keeps_the_worst_and_drops_others_at_its_rate() -> None:
    torch.manual_seed(0)
    balance = Balance(AlignmentSpec(teacher_drop=0.25), 3)
    weights = torch.stack([balance(torch.tensor([0.1, 0.3, 0.2])) for _ in range(2000)])
    assert (weights[:, 1] == 1).all()
    assert weights[:, [0, 2]].mean().item() == pytest.approx(0.75, abs=0.02)


def test_errors_name_the_field() -> None:
    with pytest.raises(UMTError, match=r"unknown alignment.balance 'ema'.*magnitude"):
        Balance(AlignmentSpec(balance="ema"), 2)
    with pytest.raises(UMTError, match=r"alignment.teacher_drop 1.0"):
        Balance(AlignmentSpec(teacher_drop=1.0), 2)
