"""Endless batches of every training: images and their views as functions of seed and position alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
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
            visit, position = divmod(turn * self.world + self.rank, self.images)
            if visit != epoch:
                epoch, order = visit, order_of(self.seed, visit, self.images)
            yield int(order[position]), visit

    def __len__(self) -> int:
        return self.images

    def skip(self, keys: int) -> None:
        """Start at this process's key number `keys`; mmengine's loop calls it when a run goes on."""
        self.start = keys


class SeededViews(Dataset[Any]):
    """`dataset[index, visit]`: an item of `items`, drawn with generators of its own.

    Augmentations of timm, torchvision and mmseg draw from Python's, NumPy's and torch's global generators. Here a
    training sees the same views in one process or many, with worker processes or without, and after an interruption.
    """

    def __init__(self, items: Dataset[Any], seed: int) -> None:
        self.items, self.seed = items, seed

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]

    def __getitem__(self, key: Key) -> Any:
        with global_generators(*self.seeds(*key)):
            return self.items[key[0]]

    def seeds(self, index: int, visit: int) -> tuple[int, int, int]:
        """Return the seeds of Python's, NumPy's and torch's generators for a view."""
        first, second, third = np.random.SeedSequence((self.seed, index, visit)).generate_state(3).tolist()
        return first, second, third


def order_of(seed: int, visit: int, images: int) -> np.ndarray:
    """Return the indices of all images in the order of an epoch."""
    return np.random.default_rng((seed, visit)).permutation(images)


@contextmanager
def global_generators(python: int, numpy: int, torchs: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's CPU generators, and restore them afterwards."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(python)
    np.random.seed(numpy)
    torch.default_generator.manual_seed(torchs)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def make_loader(
    images: Dataset[Any],
    *,
    batch: int,
    seed: int,
    draws: int,
    pinned: bool,
    collate: Callable[[list[Any]], Any] | None = None,
) -> DataLoader[Any]:
    """Return endless shuffled batches for this process, which draws `draws` images; items are asked for by key.

    The order of the images depends on the seed alone, not on the size of a batch.
    """
    rank, world = get_dist_info()
    size = len(images)  # type: ignore[arg-type]
    return DataLoader(
        images,
        batch_size=batch,
        sampler=VisitSampler(size, seed, rank, world),
        num_workers=worker_count(draws),
        collate_fn=collate,
        pin_memory=pinned,
        generator=Generator().manual_seed(seed),
    )
