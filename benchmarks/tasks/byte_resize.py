"""Bilinear resizing of bytes in whole numbers, as OpenCV computes it, with which published code reads frames."""

from __future__ import annotations

import numpy as np

BITS = 11  # of a weight: OpenCV rounds weights to 1/2048
DROPPED = (4, 16, 2)  # bits that are cut off after a row, after a column, and of the sum, which is rounded


def byte_resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image of bytes [H, W, C] at another size (height, width), without antialiasing.

    The result is that of cv2.resize to the last bit where an image shrinks; where it grows, few values differ by 1.
    """
    (top, bottom, above, below), (left, right, before, after) = (
        _weights(new, old) for new, old in zip(size, image.shape[:2], strict=True)
    )
    pixels = image.astype(np.int32)
    rows = (pixels[:, left] * before[:, None] + pixels[:, right] * after[:, None]) >> DROPPED[0]
    upper, lower = (
        (weight[:, None, None] * rows[index]) >> DROPPED[1] for index, weight in ((top, above), (bottom, below))
    )
    return ((upper + lower + 2) >> DROPPED[2]).clip(0, 255).astype(np.uint8)


def _weights(new: int, old: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the two pixels that each of `new` ones lies between, and their weights; `old` is the number of pixels."""
    centres = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32).clip(0, old - 1)
    first = np.floor(centres).astype(int)
    share = centres - first.astype(np.float32)
    weights = (np.rint(part * (1 << BITS)).astype(np.int32) for part in (1 - share, share))
    return first, np.minimum(first + 1, old - 1), *weights
