"""DINOv3's resizing and colours against Pillow, blending and the hue circle, at the draws of mmseg's own distortion."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from mmseg.datasets.transforms import Resize
from PIL import Image

from mmseg_configs.transforms import AntialiasedResize, BlendingDistortion

GREY = np.array([0.114, 0.587, 0.2989])  # of BGR (ITU-R 601)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def loaded(image: np.ndarray) -> dict[str, Any]:
    labels = np.random.default_rng(1).integers(0, 150, image.shape[:2], dtype=np.uint8)
    return {"img": image, "gt_seg_map": labels, "seg_fields": ["gt_seg_map"]}


def test_images_are_resized_by_pillow_and_labels_are_not(image: np.ndarray) -> None:
    found = AntialiasedResize(scale=(200, 20), keep_ratio=True).transform(loaded(image))
    plain = Resize(scale=(200, 20), keep_ratio=True).transform(loaded(image))
    expected = np.asarray(Image.fromarray(image).resize((30, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(found["img"], expected)
    np.testing.assert_array_equal(found["gt_seg_map"], plain["gt_seg_map"])
    assert found["img_shape"] == plain["img_shape"] == (20, 30)
    assert found["img"].std() < 0.8 * plain["img"].std(), "noise is averaged, where OpenCV picks pixels"


def drawn(method: str, image: np.ndarray, seed: int) -> np.ndarray:
    np.random.seed(seed)
    found: np.ndarray = getattr(BlendingDistortion(), method)(image)
    np.random.seed(seed)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_saturation_blends_with_grey(image: np.ndarray, seed: int) -> None:
    found = drawn("saturation", image, seed)
    if not np.random.randint(2):
        assert found is image
        return
    factor = np.random.uniform(0.5, 1.5)
    grey = (image @ GREY)[..., None]
    expected = np.clip(factor * image + (1 - factor) * grey, 0, 255)
    assert np.abs(found - expected).max() <= 2


def test_hue_turns_by_up_to_half_a_circle(image: np.ndarray) -> None:
    turns = []
    for seed in range(40):
        found = drawn("hue", image, seed)
        if not np.random.randint(2):
            assert found is image
            continue
        turns.append(np.random.uniform(-0.5, 0.5))
        for row, column in ((0, 0), (7, 9), (20, 30)):
            hue, saturation, value = colorsys.rgb_to_hsv(*(image[row, column, ::-1] / 255))
            expected = np.array(colorsys.hsv_to_rgb((hue + turns[-1]) % 1, saturation, value))[::-1] * 255
            assert np.abs(found[row, column] - expected).max() <= 2
    assert max(turns) - min(turns) > 0.7, "mmseg turns by 18 of 180 steps at most"
