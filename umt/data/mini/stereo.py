"""Crops of a real photograph with measured depth: the Motorcycle stereo pair of Middlebury 2014."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from umt.data.mini.photos import motorcycle

# Calibration of the quarter-size pair (741 x 500) as scikit-image documents it; the full-size one has 3979.911 px,
# 124.343 px and the same baseline (https://vision.middlebury.edu/stereo/data/scenes2014/).
FOCAL = 994.978  # pixels
BASELINE = 0.193001  # metres
OFFSET = 31.086  # pixels, difference of the two principal points
SHARES = {"train": (0.0, 0.5), "test": (0.5, 1.0)}  # shares of the width: no pixel is in both splits
CROP_WIDTHS = (256, 369)  # pixels, least and most; height follows from the aspect of the output


def depth_of(disparity: np.ndarray) -> np.ndarray:
    """Return metres from disparity in pixels, z = f b / (d + offset); 0 if nothing was measured (inf or NaN)."""
    measured = np.isfinite(disparity)
    return np.where(measured, FOCAL * BASELINE / (np.where(measured, disparity, 0.0) + OFFSET), 0.0)


def crops(split: str, count: int, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield `count` random crops, RGB uint8 [H, W, 3] and depth in metres [H, W], scaled to `size` (width, height)."""
    image, disparity = motorcycle()
    depth = depth_of(disparity).astype(np.float32)
    left, right = (round(edge * image.shape[1]) for edge in SHARES[split])
    rng = np.random.default_rng([4, left])
    for _ in range(count):
        width = int(rng.integers(CROP_WIDTHS[0], CROP_WIDTHS[1] + 1))
        height = width * size[1] // size[0]
        x, y = rng.integers(left, right - width + 1), rng.integers(0, image.shape[0] - height + 1)
        window = np.s_[y : y + height, x : x + width]
        rgb = Image.fromarray(image[window]).resize(size, Image.Resampling.BICUBIC)
        # Nearest: a mean over an edge, or with the zeros of holes, would be a depth that is nowhere.
        yield np.asarray(rgb), np.asarray(Image.fromarray(depth[window]).resize(size, Image.Resampling.NEAREST))
