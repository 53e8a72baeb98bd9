"""Images whose random augmentations depend on seed, image and visit alone, not on the process or the time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset


class SeededViews(Dataset[Any]):
    """`dataset[index, visit]`: an item of `items`, drawn with generators of its own.

    Augmentations of timm and torchvision draw from Python's, NumPy's and torch's global generators. Here a training
    sees the same views in one process or many, with worker processes or without, and after an interruption.
    """

    def __init__(self, items: Dataset[Any], seed: int) -> None:
        self.items, self.seed = items, seed

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]

    def __getitem__(self, key: tuple[int, int]) -> Any:
        index, visit = key
        with global_generators((self.seed, index, visit)):
            return self.items[index]


@contextmanager
def global_generators(seed: tuple[int, ...]) -> Iterator[None]:
    """Set Python's, NumPy's and torch's CPU generators by a seed, and restore them afterwards."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    first, second, third = np.random.SeedSequence(seed).generate_state(3).tolist()
    random.seed(first)
    np.random.seed(second)
    torch.default_generator.manual_seed(third)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
