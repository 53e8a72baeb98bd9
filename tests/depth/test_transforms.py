"""Colour augmentation against torchvision's functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference

from depth.transforms import RandomColor, brightness_contrast, gamma, shift_hsv


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    """RGB [3, H, W] of BGR [H, W, 3]."""
    return torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)


def difference(image: np.ndarray, expected: torch.Tensor) -> int:
    """Largest difference in levels of 255."""
    return int((as_tensor(image).int() - expected.int()).abs().max())


def test_scaling_values(image: np.ndarray) -> None:
    assert difference(brightness_contrast(image, 0.0, 1.2), reference.adjust_brightness(as_tensor(image), 1.2)) <= 1
    assert brightness_contrast(np.array([[[0, 128, 255]]], np.uint8), 0.2, 1.0).tolist() == [[[51, 179, 255]]]


def test_gamma(image: np.ndarray) -> None:
    assert difference(gamma(image, 0.8), reference.adjust_gamma(as_tensor(image), 0.8)) <= 1


def test_hue_turns_round_the_circle(image: np.ndarray) -> None:
    """A turn by 120 degrees (60 steps) changes red into green, green into blue, blue into red."""
    turned = shift_hsv(image, 60, 0, 0)
    assert np.abs(turned.astype(int) - image[..., [1, 2, 0]].astype(int)).max() <= 6  # OpenCV's hue has 180 levels
    assert np.abs(shift_hsv(image, 180, 0, 0).astype(int) - image.astype(int)).max() <= 6


def test_saturation_and_value(image: np.ndarray) -> None:
    assert (np.ptp(shift_hsv(image, 0, -255, 0), axis=-1) == 0).all()
    assert shift_hsv(image, 0, 0, 255).max(axis=-1).min() == 255


def test_probability_zero_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(RandomColor(0.0).transform({"img": image})["img"], image)
    assert (RandomColor(1.0).transform({"img": image})["img"] != image).any()
