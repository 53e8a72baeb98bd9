"""A small backbone that keeps the contract, and images to show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from umt.backbones import Backbone, Features, Preprocess


class TwoStages(Backbone):
    """Two convolutions, strides 4 and 8; what it gives is their maps, and the pooled last one."""

    def __init__(self, channels: Sequence[int] = (4, 6), strides: Sequence[int] = (4, 8), dim: int = 6) -> None:
        preprocess = Preprocess(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), size=32, size_multiple=8)
        super().__init__(preprocess, channels=channels, strides=strides, dim=dim)
        torch.manual_seed(0)
        self.fine = nn.Conv2d(3, 4, kernel_size=4, stride=4)
        self.coarse = nn.Conv2d(4, 6, kernel_size=2, stride=2)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        fine = self.fine(images)
        coarse = self.coarse(fine.relu())
        every = (fine, coarse)
        return Features(coarse.mean(dim=(2, 3)), None, [every[index] for index in maps])


@pytest.fixture
def two_stages() -> type[TwoStages]:
    return TwoStages


@pytest.fixture
def images() -> Callable[..., Tensor]:
    """Random RGB images in [0, 1], always the same."""

    def make(height: int, width: int | None = None, batch: int = 2) -> Tensor:
        return torch.rand(batch, 3, height, width or height, generator=torch.Generator().manual_seed(0))

    return make
