"""Augmentation of depth training as in published configurations, if mmseg has no equal transform."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from umt.errors import DataError

BYTES = np.arange(256, dtype=np.float64) / 255.0
BORDER = (45, 472, 43, 608)  # top, bottom, left, right of the valid part of a registered 480x640 frame (AdaBins)
FRAME = (480, 640)
BENCHMARK = (352, 1216)  # height, width of the images of the KITTI benchmark


@TRANSFORMS.register_module()
class RandomColor(BaseTransform):
    """Brightness-contrast, gamma and hue-saturation-value, each with probability `prob`, on BGR bytes [H, W, 3].

    The limits are albumentations' defaults.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = results["img"]
        if np.random.random() < self.prob:
            image = brightness_contrast(image, np.random.uniform(-0.2, 0.2), np.random.uniform(0.8, 1.2))
        if np.random.random() < self.prob:
            image = gamma(image, np.random.uniform(0.8, 1.2))
        if np.random.random() < self.prob:
            image = shift_hsv(image, *(np.random.uniform(-limit, limit) for limit in (20, 30, 20)))
        return {**results, "img": image}


@TRANSFORMS.register_module()
class AdaBinsColor(BaseTransform):
    """Gamma, brightness and the gain of each channel, with probability `prob`, as in training DINOv3's depth probe.

    brightness: least and largest factor.
    The published code raises bytes, not values in [0, 1], to the power of gamma: an image becomes up to 1.7 times as
    bright or dark.
    """

    def __init__(self, prob: float = 0.5, brightness: tuple[float, float] = (0.75, 1.25)) -> None:
        self.prob, self.brightness = prob, brightness

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if np.random.random() >= self.prob:
            return results
        exponent, brightness = np.random.uniform(0.9, 1.1), np.random.uniform(*self.brightness)
        gains = brightness * np.random.uniform(0.9, 1.1, 3)
        tables = (255 * BYTES)[:, None] ** exponent * gains / 255.0
        image = np.stack([_mapped(results["img"][..., channel], tables[:, channel]) for channel in range(3)], axis=2)
        return {**results, "img": image}


@TRANSFORMS.register_module()
class BorderCrop(BaseTransform):
    """Crop the white frame that registering the two cameras left round image and depth, at any size."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        for name in ("img", *results["seg_fields"]):
            height, width = results[name].shape[:2]
            top, bottom = (height * side // FRAME[0] for side in BORDER[:2])
            left, right = (width * side // FRAME[1] for side in BORDER[2:])
            results[name] = np.ascontiguousarray(results[name][top:bottom, left:right])
        return {**results, "img_shape": results["img"].shape[:2]}


@TRANSFORMS.register_module()
class BenchmarkCrop(BaseTransform):
    """Cut KITTI's benchmark crop out of image and depth: 352x1216 pixels, at the bottom and in the middle.

    What is cut off is not evaluated: `ori_shape`, to which predictions are resized, is that of the crop.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        height, width = results["img"].shape[:2]
        top, left = height - BENCHMARK[0], (width - BENCHMARK[1]) // 2
        if top < 0 or left < 0:
            raise DataError(
                f"{results['img_path']}: {width}x{height} pixels, KITTI's crop needs {BENCHMARK[1]}x{BENCHMARK[0]}; "
                "take another protocol"
            )
        for name in ("img", *results["seg_fields"]):
            crop = results[name][top : top + BENCHMARK[0], left : left + BENCHMARK[1]]
            results[name] = np.ascontiguousarray(crop)
        return {**results, "img_shape": BENCHMARK, "ori_shape": BENCHMARK}


COLORS = {"albumentations": "RandomColor", "adabins": "AdaBinsColor"}  # names of protocols -> of mmseg's registry


def brightness_contrast(image: np.ndarray, brightness: float, contrast: float) -> np.ndarray:
    """Return value x contrast + brightness, with values in [0, 1], cut down to whole levels as albumentations does."""
    levels = np.arange(256, dtype=np.float32) * np.float32(contrast) + np.float32(brightness * 255)
    return np.clip(levels, 0, 255).astype(np.uint8)[image]


def gamma(image: np.ndarray, exponent: float) -> np.ndarray:
    """Return value ^ exponent, with values in [0, 1], cut down to whole levels as albumentations does."""
    return ((np.arange(256) * (1 / 255)) ** exponent * 255).astype(np.uint8)[image]


def shift_hsv(image: np.ndarray, hue: float, saturation: float, value: float) -> np.ndarray:
    """Shift HSV in OpenCV's units: hue in steps of 2 degrees round the circle, saturation and value in bytes."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float64)
    hsv[..., 0] = (hsv[..., 0] + hue) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + (saturation, value), 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)


def _mapped(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.round(np.clip(table, 0.0, 1.0) * 255.0).astype(np.uint8)[image]
