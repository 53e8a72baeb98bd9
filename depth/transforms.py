"""Colour augmentation of depth training, as albumentations' defaults that published configurations use."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

BYTES = np.arange(256, dtype=np.float64) / 255.0


@TRANSFORMS.register_module()
class RandomColor(BaseTransform):
    """Brightness-contrast, gamma and hue-saturation-value, each with probability `prob`, on BGR bytes [H, W, 3]."""

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


def brightness_contrast(image: np.ndarray, brightness: float, contrast: float) -> np.ndarray:
    """value x contrast + brightness, with values in [0, 1]."""
    return _mapped(image, BYTES * contrast + brightness)


def gamma(image: np.ndarray, exponent: float) -> np.ndarray:
    """value ^ exponent, with values in [0, 1]."""
    return _mapped(image, BYTES**exponent)


def shift_hsv(image: np.ndarray, hue: float, saturation: float, value: float) -> np.ndarray:
    """Added in OpenCV's units: hue in steps of 2 degrees round the circle, the others in bytes."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float64)
    hsv[..., 0] = (hsv[..., 0] + hue) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + (saturation, value), 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)


def _mapped(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.round(np.clip(table, 0.0, 1.0) * 255.0).astype(np.uint8)[image]
