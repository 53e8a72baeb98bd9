"""Shifted views: the compared cells show the same place, for every direction."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from umt.distill.alignment.shift import Shift


@pytest.mark.parametrize("down", [-2, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 2])
def test_common_cells_of_a_moved_view_are_those_of_the_view_itself(down: int, right: int) -> None:
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    shift = Shift(down, right)
    moved = shift.move(images, 8)
    assert moved.shape == images.shape
    student, teacher = shift.common(F.avg_pool2d(moved, 8), F.avg_pool2d(images, 8))
    assert student.shape[2:] == (5 - abs(down), 5 - abs(right))
    assert torch.equal(student, teacher)


def test_draws_reach_every_shift_and_nothing_else() -> None:
    torch.manual_seed(0)
    draws = {Shift.draw(1) for _ in range(200)}
    assert draws == {Shift(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}


def test_no_shift_draws_nothing_and_copies_nothing() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    images = torch.zeros(1, 3, 8, 8)
    assert Shift.draw(0).move(images, 4) is images
    assert torch.equal(torch.rand(1), expected)
