"""Views by seed, image and showing: the same for whoever draws them, and nobody else's draws are disturbed."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from umt.training.batches import VisitSampler
from umt.training.seeded import SeededViews


class Draws(Dataset[Tensor]):
    """One number of each generator that augmentations draw from."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Tensor:
        if index == 5:
            raise ValueError("damaged")
        return torch.tensor([random.random(), np.random.random(), float(torch.rand(()))])


def test_equal_keys_give_equal_draws_and_any_other_gives_others() -> None:
    first, again, other = SeededViews(Draws(), 0), SeededViews(Draws(), 0), SeededViews(Draws(), 1)
    assert torch.equal(first[2, 3], again[2, 3])
    for different in (first[2, 4], first[3, 3], first[3, 2], other[2, 3]):
        assert (first[2, 3] != different).all()


def test_worker_processes_draw_the_same() -> None:
    views, keys = SeededViews(Draws(), 7), [(index, visit) for visit in range(2) for index in range(5)]
    alone = torch.stack([views[key] for key in keys])
    loaded = torch.cat(list(DataLoader(views, batch_size=2, sampler=keys, num_workers=2)))
    assert torch.equal(alone, loaded)


@pytest.mark.parametrize("index", [0, 5])
def test_the_training_draws_on_as_if_nothing_was(index: int) -> None:
    """Also after an image that cannot be read."""

    def draw(look: bool) -> list[float]:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        if look:
            with suppress(ValueError):
                SeededViews(Draws(), 0)[index, 0]
        return [random.random(), float(np.random.random()), float(torch.rand(()))]

    assert draw(True) == draw(False)


def test_processes_share_out_the_views_of_one() -> None:
    """Those of rank 0 and 1 in turns are those of a single process, visits included."""
    one = iter(VisitSampler(6, seed=3))
    both = [iter(VisitSampler(6, seed=3, rank=rank, world=2)) for rank in (0, 1)]
    assert [next(one) for _ in range(20)] == [next(both[turn % 2]) for turn in range(20)]
