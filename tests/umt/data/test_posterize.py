"""Posterising against its definition, and timm's strongest augmentation, which asks for no bits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from timm.data.auto_augment import AugmentOp

from umt.data.posterize import posterize
from umt.data.transforms import train_transform

PIXELS = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3).reshape(16, 16, 3)


@pytest.mark.parametrize("bits", range(9))
def test_it_keeps_the_highest_bits(bits: int) -> None:
    expected = PIXELS >> (8 - bits) << (8 - bits)
    assert np.array_equal(np.asarray(posterize(Image.fromarray(PIXELS), bits)), expected)


def test_timm_at_its_greatest_magnitude() -> None:
    train_transform(32, "bicubic", auto_augment="rand-m9-inc1", reprob=0, scale=(1, 1), hflip=0)
    strongest = AugmentOp("PosterizeIncreasing", prob=1, magnitude=10)
    assert not np.asarray(strongest(Image.fromarray(PIXELS))).any()
