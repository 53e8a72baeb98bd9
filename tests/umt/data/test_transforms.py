"""Transforms against Pillow's own resize and crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from umt.backbones.contract import Preprocess
from umt.data.transforms import eval_transform, train_transform

PLAIN = {"auto_augment": None, "reprob": 0.0, "scale": (1.0, 1.0), "hflip": 0.0}


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((240, 180), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_evaluation_resizes_and_crops_the_centre(image: Image.Image, interpolation: str) -> None:
    result = eval_transform(Preprocess(interpolation=interpolation), 112, 0.875)(image)
    resized = image.resize((170, 128), Image.Resampling[interpolation.upper()])
    expected = np.asarray(resized.crop((29, 8, 141, 120))).transpose(2, 0, 1) / np.float32(255)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-7)


def test_training_without_augmentation_is_a_resize(image: Image.Image) -> None:
    square = image.crop((0, 0, 180, 180))
    result = train_transform(96, "bicubic", **PLAIN)(square)
    expected = np.asarray(square.resize((96, 96), Image.Resampling.BICUBIC)).transpose(2, 0, 1) / 255
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)


def test_flip_mirrors(image: Image.Image) -> None:
    square = image.crop((0, 0, 180, 180))
    plain = train_transform(96, "bilinear", **PLAIN)(square)
    flipped = train_transform(96, "bilinear", **{**PLAIN, "hflip": 1.0})(square)
    assert torch.equal(flipped.flip(-1), plain)


def test_erasing_draws_imagenet_noise_and_stays_in_range() -> None:
    torch.manual_seed(0)
    erase = train_transform(224, "bicubic", **{**PLAIN, "reprob": 1.0})
    black = Image.new("RGB", (224, 224))
    erased = torch.cat([values[values > 1e-3] for values in (erase(black)[0] for _ in range(20))])
    # The noise is clipped to [0, 1]; its median is not moved by that.
    assert erased.median().item() == pytest.approx(0.485, abs=0.02)
    assert erased.max() <= 1.0


def test_recipe_of_mae_gives_images_in_range(image: Image.Image) -> None:
    augment = train_transform(
        64, "bicubic", auto_augment="rand-m9-mstd0.5-inc1", reprob=0.25, scale=(0.08, 1.0), hflip=0.5
    )
    batch = torch.stack([augment(image) for _ in range(8)])
    assert batch.shape == (8, 3, 64, 64)
    assert 0.0 <= batch.min() < batch.max() <= 1.0
    assert not torch.equal(batch[0], batch[1])
