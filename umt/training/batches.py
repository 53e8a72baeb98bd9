"""Endless batches: the images of each process at each step, as a function of seed and position alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info
from torch import Generator
from torch.utils.data import DataLoader, Dataset, Sampler

from umt.data.loaders import worker_count

Key = tuple[int, int]  # index of an image, and how often it was shown before


class VisitSampler(Sampler[Key]):
    """Keys (index, visit) of epoch after epoch, each in its own order.

    Processes take turns in one sequence, so that the images of an optimiser step are the same for any split of the
    global batch. A position is found without walking to it: going on after an interruption costs nothing.
    """

    def __init__(self, images: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.images, self.seed, self.rank, self.world = images, seed, rank, world
        self.start = 0

    def __iter__(self) -> Iterator[Key]:
        epoch, order = -1, np.empty(0, dtype=int)
        for turn in count(self.start):
            visit, place = divmod(turn * self.world + self.rank, self.images)
            if visit != epoch:
                epoch, order = visit, np.random.default_rng((self.seed, visit)).permutation(self.images)
            yield int(order[place]), visit

    def __len__(self) -> int:
        return self.images

    def skip(self, keys: int) -> None:
        """Start at this process's key number `keys`; mmengine's loop calls it when a run goes on."""
        self.start = keys


def make_loader(
    images: Dataset[Any], *, batch: int, seed: int, draws: int, visits: bool, pinned: bool
) -> DataLoader[Any]:
    """Return endless shuffled batches for this process, if all processes together draw `draws` images.

    The order of the images depends on the seed alone, not on the size of a batch.
    """
    rank, world = get_dist_info()
    size = len(images)  # type: ignore[arg-type]
    return DataLoader(
        images,
        batch_size=batch,
        sampler=VisitSampler(size, seed, rank, world) if visits else InfiniteSampler(images, seed=seed),
        num_workers=worker_count(draws // world),
        pin_memory=pinned,
        generator=Generator().manual_seed(seed),
    )
