"""Transforms against Pillow's own resize and crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import AugmentOp

from umt.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from umt.data.contract import Sample
from umt.data.images import ImageSamples
from umt.data.transforms import eval_pixels, posterize, train_transform

PIXELS = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3).reshape(16, 16, 3)
PLAIN = {"auto_augment": None, "reprob": 0.0, "scale": (1.0, 1.0), "hflip": 0.0}


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((240, 180), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_evaluation_resizes_and_crops_the_centre(image: Image.Image, interpolation: str) -> None:
    result = eval_pixels(Preprocess(interpolation=interpolation), 112, 0.875)(image)
    resized = image.resize((170, 128), Image.Resampling[interpolation.upper()])
    assert result.dtype == torch.uint8
    np.testing.assert_array_equal(result.numpy(), np.asarray(resized.crop((29, 8, 141, 120))).transpose(2, 0, 1))


def pixels_of(path: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of a file as integers: ours, and those of timm's own evaluation transform."""
    ours, _ = ImageSamples([Sample(path, 0)], eval_pixels(Preprocess(), side, 0.875))[0]
    transform = create_transform((3, side, side), interpolation="bicubic", crop_pct=0.875, normalize=False)
    with Image.open(path) as image:
        timms = transform(image.convert("RGB"))
    assert ours.dtype == torch.uint8
    return ours.numpy().astype(int), timms.numpy().astype(int)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(1600, 1200), (60, 45), (301, 900)])
def test_pixels_of_a_jpeg_are_timms_within_one_level(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)
    photo.save(tmp_path / "photo.jpg", quality=90)
    ours, timms = pixels_of(tmp_path / "photo.jpg", 64)
    assert np.abs(ours - timms).max() <= 1


def test_pixels_of_photographs_are_timms_within_one_level(real_data: Path) -> None:
    photos = sorted((real_data / "caltech101").rglob("*.jpg"))[::100]
    assert len(photos) > 30
    assert max(np.abs(np.subtract(*pixels_of(path, 64))).max() for path in photos) <= 1


def test_a_draft_would_not_be_within_one_level(real_data: Path) -> None:
    """Why JPEGs are decoded in full: at half their size photographs differ, also where that is ten times the crop."""
    worst = 0
    for path in sorted((real_data / "caltech101").rglob("*.jpg"))[::100]:
        _, timms = pixels_of(path, 16)
        with Image.open(path) as image:
            full = image.size
            image.draft(None, (full[0] // 2, full[1] // 2))
            assert image.size != full
            draft = eval_pixels(Preprocess(), 16, 0.875)(image.convert("RGB")).numpy().astype(int)
        worst = max(worst, np.abs(draft - timms).max())
    assert worst > 10


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


def test_erasing_draws_imagenet_noise_as_it_is() -> None:
    """Normal, with ImageNet's mean and deviation of each channel, also out of [0, 1]."""
    torch.manual_seed(0)
    erase = train_transform(224, "bicubic", **{**PLAIN, "reprob": 1.0})
    black = Image.new("RGB", (224, 224))
    images = [erase(black) for _ in range(20)]
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        erased = torch.cat([image[channel][image[channel].abs() > 1e-6] for image in images])
        assert erased.mean().item() == pytest.approx(mean, abs=0.01)
        assert erased.std().item() == pytest.approx(std, abs=0.01)
        assert erased.min() < 0
        assert erased.max() > 1


def test_recipe_of_mae_gives_images_in_range(image: Image.Image) -> None:
    augment = train_transform(
        64, "bicubic", auto_augment="rand-m9-mstd0.5-inc1", reprob=0.25, scale=(0.08, 1.0), hflip=0.5
    )
    batch = torch.stack([augment(image) for _ in range(8)])
    assert batch.shape == (8, 3, 64, 64)
    inside = (batch > -1e-6) & (batch < 1 + 1e-6)
    assert 0.9 < inside.float().mean() < 1, "the noise of erased boxes is not clipped"
    assert not torch.equal(batch[0], batch[1])


@pytest.mark.parametrize("bits", range(9))
def test_posterizing_keeps_the_highest_bits(bits: int) -> None:
    expected = PIXELS >> (8 - bits) << (8 - bits)
    assert np.array_equal(np.asarray(posterize(Image.fromarray(PIXELS), bits)), expected)


def test_timm_posterizes_at_its_greatest_magnitude() -> None:
    """Its strongest augmentation asks for no bits, which Pillow 13 refuses."""
    train_transform(32, "bicubic", auto_augment="rand-m9-inc1", reprob=0, scale=(1, 1), hflip=0)
    strongest = AugmentOp("PosterizeIncreasing", prob=1, magnitude=10)
    assert not np.asarray(strongest(Image.fromarray(PIXELS))).any()
