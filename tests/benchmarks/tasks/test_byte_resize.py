"""Resizing of bytes against OpenCV, and against the formula of bilinear interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.tasks.byte_resize import byte_resize


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 214, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(120, 208), (120, 214), (96, 200), (60, 107), (31, 64)])
def test_smaller_images_are_those_of_opencv(image: np.ndarray, size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    np.testing.assert_array_equal(byte_resize(image, size), cv2.resize(image, size[::-1]))


@pytest.mark.parametrize("size", [(90, 208), (150, 300), (120, 214)])
def test_they_are_within_a_level_of_the_formula(image: np.ndarray, size: tuple[int, int]) -> None:
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    exact = torch.nn.functional.interpolate(pixels, size=size, mode="bilinear")[0].permute(1, 2, 0).numpy()
    assert np.abs(byte_resize(image, size) - exact).max() < 1
