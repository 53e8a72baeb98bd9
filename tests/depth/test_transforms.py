"""Colour augmentation against torchvision's functions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference

from depth.transforms import AdaBinsColor, BorderCrop, RandomColor, brightness_contrast, gamma, shift_hsv


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    """RGB [3, H, W] of BGR [H, W, 3]."""
    return torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)


def test_levels_are_cut_down_as_albumentations_cuts_them() -> None:
    """The tables of its version 1.3.1 for bytes: float32 for brightness and contrast, float64 for gamma."""
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    for brightness, contrast in ((0.137, 0.83), (-0.2, 1.2), (0.0, 1.1)):
        table = [np.float32(level) * np.float32(contrast) + np.float32(brightness * 255) for level in range(256)]
        expected = [int(min(max(value, 0), 255)) for value in table]
        assert brightness_contrast(levels, brightness, contrast)[0, :, 0].tolist() == expected
    for exponent in (0.8, 1.0, 1.17):
        expected = [int((level * (1 / 255)) ** exponent * 255) for level in range(256)]
        assert gamma(levels, exponent)[0, :, 0].tolist() == expected


def test_hue_saturation_and_value_are_opencvs_bytes_shifted_and_cut_down(image: np.ndarray) -> None:
    """As albumentations' tables for bytes do it, channel by channel."""
    shifts = (-7.3, 21.6, -13.9)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    levels = np.arange(256, dtype=np.int16)
    tables = [(levels + shifts[0]) % 180, *(np.clip(levels + shift, 0, 255) for shift in shifts[1:])]
    expected = np.stack([table.astype(np.uint8)[hsv[..., index]] for index, table in enumerate(tables)], axis=2)
    np.testing.assert_array_equal(shift_hsv(image, *shifts), cv2.cvtColor(expected, cv2.COLOR_HSV2BGR))


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


@pytest.mark.parametrize("limits", [(0.75, 1.25), (0.9, 1.1)])
def test_adabins_color_is_the_published_arithmetic(image: np.ndarray, limits: tuple[float, float]) -> None:
    """Bytes to the power of gamma, times a brightness and a gain for each channel, cut at 255."""
    np.random.seed(3)
    found = AdaBinsColor(prob=1.0, brightness=limits).transform({"img": image})["img"]
    np.random.seed(3)
    np.random.random()
    exponent, brightness = np.random.uniform(0.9, 1.1), np.random.uniform(*limits)
    expected = np.clip(image.astype(float) ** exponent * brightness * np.random.uniform(0.9, 1.1, 3), 0, 255)
    assert np.abs(found - expected).max() <= 0.5
    assert np.abs(found.astype(int) - image.astype(int)).max() > 10
    assert AdaBinsColor(prob=0.0).transform({"img": image})["img"] is image


@pytest.mark.parametrize(("shape", "inside"), [((480, 640), (427, 565)), ((240, 320), (214, 283))])
def test_the_border_is_cut_from_image_and_depth_alike(shape: tuple[int, int], inside: tuple[int, int]) -> None:
    rows = np.broadcast_to(np.arange(shape[0])[:, None], shape)
    image = np.stack([rows % 256] * 3, axis=2).astype(np.uint8)
    results = BorderCrop().transform({"img": image, "depth": rows.astype(np.float32), "seg_fields": ["depth"]})
    assert results["img"].shape == (*inside, 3)
    assert results["img_shape"] == results["depth"].shape == inside
    assert results["depth"][0, 0] == 45 * shape[0] // 480
    np.testing.assert_array_equal(results["img"][..., 0], results["depth"] % 256)
