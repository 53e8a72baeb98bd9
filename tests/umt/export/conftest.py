"""A backbone of two convolutions, which exports in a second."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from umt.backbones import Backbone, Features, Preprocess


class Convolutions(Backbone):
    """Strides 4 and 8; `native_only` makes its code depend on the size of the images."""

    def __init__(self, *, native_only: bool = False) -> None:
        preprocess = Preprocess(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), size=32, size_multiple=8)
        super().__init__(preprocess, channels=[4, 6], strides=[4, 8], dim=6)
        torch.manual_seed(0)
        self.fine = nn.Conv2d(3, 4, kernel_size=4, stride=4)
        self.coarse = nn.Conv2d(4, 6, kernel_size=2, stride=2)
        self.native_only = native_only

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        fine = self.fine(images)
        if self.native_only and images.shape[2] == images.shape[3] == 32:
            fine = fine * 2
        coarse = self.coarse(fine.relu())
        every = (fine, coarse)
        return Features(coarse.mean(dim=(2, 3)), None, [every[index] for index in maps])


@pytest.fixture
def convolutions() -> type[Convolutions]:
    return Convolutions
