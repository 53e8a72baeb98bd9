"""Images and their views: shared out to processes, epoch by epoch, the same for whoever draws them."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from umt.training.batches import Key, SeededViews, VisitSampler, make_loader


def first(sampler: VisitSampler, keys: int) -> list[Key]:
    return list(islice(sampler, keys))


def test_each_visit_shows_every_image_once_in_another_order() -> None:
    keys = first(VisitSampler(7, seed=0), 21)
    for visit in range(3):
        assert {key for key in keys if key[1] == visit} == {(index, visit) for index in range(7)}
    orders = [[index for index, at in keys if at == visit] for visit in range(3)]
    assert orders[0] != orders[1] != orders[2]


def test_the_order_belongs_to_the_seed() -> None:
    assert first(VisitSampler(50, seed=1), 50) == first(VisitSampler(50, seed=1), 50)
    assert first(VisitSampler(50, seed=1), 50) != first(VisitSampler(50, seed=2), 50)


@pytest.mark.parametrize(("world", "device_batch"), [(1, 24), (2, 12), (2, 4), (3, 8), (4, 2), (8, 1)])
def test_an_optimiser_step_sees_the_same_images_however_its_batch_is_split(world: int, device_batch: int) -> None:
    batch, images, steps = 24, 37, 5
    each = batch // world
    assert each % device_batch == 0
    whole = first(VisitSampler(images, seed=3), batch * steps)
    shares = [first(VisitSampler(images, 3, rank, world), each * steps) for rank in range(world)]
    for step in range(steps):
        union = {key for share in shares for key in share[step * each : (step + 1) * each]}
        assert union == set(whole[step * batch : (step + 1) * batch])


@pytest.mark.parametrize("skipped", [0, 1, 36, 37, 1_000_003])
def test_skipping_is_exact(skipped: int) -> None:
    sampler = VisitSampler(37, seed=3, rank=1, world=2)
    sampler.skip(skipped)
    assert first(sampler, 1)[0][1] == (2 * skipped + 1) // 37
    if skipped < 100:
        assert first(sampler, 5) == first(VisitSampler(37, 3, 1, 2), skipped + 5)[skipped:]


class Keys(Dataset[torch.Tensor]):
    """Gives back the keys it is asked for, and remembers them."""

    def __init__(self) -> None:
        self.asked: list[Key] = []

    def __len__(self) -> int:
        return 11

    def __getitem__(self, key: Key) -> torch.Tensor:
        self.asked.append(key)
        return torch.tensor(key)


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_reads_no_image_that_was_seen(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Through mmengine's own way of advancing a loader."""
    monkeypatch.setattr("umt.training.batches.worker_count", lambda draws: workers)

    def loader() -> DataLoader[torch.Tensor]:
        return make_loader(Keys(), batch=4, seed=0, draws=100, pinned=False)

    through = list(islice(_InfiniteDataloaderIterator(loader()), 8))
    resumed = loader()
    batches = _InfiniteDataloaderIterator(resumed)
    batches.skip_iter(5)
    for expected in through[5:]:
        assert torch.equal(next(batches), expected)
    assert len(resumed.dataset.asked) == (0 if workers else 12)  # type: ignore[attr-defined]


class Draws(Dataset[Tensor]):
    """Items that hold a number of each generator that augmentations draw from."""

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
