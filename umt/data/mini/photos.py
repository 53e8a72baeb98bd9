"""The real photographs that scikit-image and scikit-learn bring in their pip packages; nothing is downloaded."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
from sklearn.datasets import load_sample_image

from umt.errors import PackageError

SCIKIT_IMAGE = (
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "retina",
    "rocket",
    "text",
)
SCIKIT_LEARN = ("china", "flower")
NAMES = (*SCIKIT_IMAGE, *SCIKIT_LEARN)


@cache
def photo(name: str) -> np.ndarray:
    """Return a photograph as RGB, uint8 [H, W, 3]; treat it as read-only."""
    pixels = load_sample_image(f"{name}.jpg") if name in SCIKIT_LEARN else getattr(_skimage_data(), name)()
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def motorcycle() -> tuple[np.ndarray, np.ndarray]:
    """Return the left view of the Motorcycle stereo pair (Middlebury 2014).

    It is RGB uint8 [500, 741, 3], with the measured disparity in pixels [500, 741], not finite if there is none.
    """
    left_view, _, disparity = _skimage_data().stereo_motorcycle()
    return left_view, disparity


def _skimage_data() -> ModuleType:
    try:
        from skimage import data
    except ModuleNotFoundError as error:
        raise PackageError("the embedded data needs scikit-image; install it with: pip install scikit-image") from error
    module: ModuleType = data
    return module
