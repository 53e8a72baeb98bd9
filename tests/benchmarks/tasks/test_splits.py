"""The held-out share of a training set."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tasks.splits import hold_out
from umt.errors import UMTError

LABELS = np.repeat([0, 1, 2], [30, 10, 2])


def test_a_share_of_each_class_is_held_out_and_never_all() -> None:
    held = hold_out(LABELS, 0.2, "abc", seed=0)
    assert [int(held[label == LABELS].sum()) for label in range(3)] == [6, 2, 1]
    assert int(hold_out(LABELS, 1.0, "abc", seed=0).sum()) == 39


def test_the_draw_follows_the_seed() -> None:
    first, again, other = (hold_out(LABELS, 0.2, "abc", seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_class_of_one_image_is_named() -> None:
    with pytest.raises(UMTError, match="class 'wren' has 1 training image"):
        hold_out(np.array([0, 0, 1]), 0.2, ["owl", "wren"], seed=0)
