"""Resizing and colour distortion of DINOv3's segmentation probe, which works on torchvision and not on OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmseg.datasets.transforms import PhotoMetricDistortion, Resize
from mmseg.registry import TRANSFORMS
from torch import Tensor
from torchvision.transforms import functional

MAX_HUE_TURNS = 0.5  # turns of the circle, at most, in both directions
# names of protocols -> of mmseg's registry: the transform that resizes, and the one that distorts colours
IMAGING = {"opencv": ("Resize", "PhotoMetricDistortion"), "torchvision": ("AntialiasedResize", "BlendingDistortion")}


@TRANSFORMS.register_module()
class AntialiasedResize(Resize):
    """mmseg's Resize with Pillow's antialiased filter for images; labels are still OpenCV's nearest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.images = Resize(**options, backend="pillow")

    def _resize_img(self, results: dict[str, Any]) -> None:
        self.images._resize_img(results)


@TRANSFORMS.register_module()
class BlendingDistortion(PhotoMetricDistortion):
    """mmseg's colour distortion with torchvision's saturation, which blends with grey, and any hue."""

    def saturation(self, img: np.ndarray) -> np.ndarray:
        if not np.random.randint(2):
            return img
        factor = np.random.uniform(self.saturation_lower, self.saturation_upper)
        return _on_rgb(functional.adjust_saturation, img, factor)

    def hue(self, img: np.ndarray) -> np.ndarray:
        if not np.random.randint(2):
            return img
        return _on_rgb(functional.adjust_hue, img, np.random.uniform(-MAX_HUE_TURNS, MAX_HUE_TURNS))


def _on_rgb(function: Callable[[Tensor, float], Tensor], image: np.ndarray, factor: float) -> np.ndarray:
    """Apply a function of RGB [3, H, W] to BGR bytes [H, W, 3]."""
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    return np.ascontiguousarray(function(rgb, factor).permute(1, 2, 0).numpy()[..., ::-1])
