"""Surface normals derived from depth: planes fitted to the inverse of depth, in which a plane is a linear function."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d, minimum_filter, uniform_filter

Pair = tuple[float, float]


def derived_normals(depth: np.ndarray, focal: Pair, centre: Pair, radius: int, tolerance: float) -> np.ndarray:
    """Return unit normals [H, W, 3] that point to the camera, x right, y down, z ahead; 0 where there is none.

    A pinhole sees the plane a X + b Y + c Z = 1 as 1 / depth = a x + b y + c, with x = (column - centre) / focal. It is
    fitted to the square of 2 radius + 1 pixels by least squares. There is none where the square leaves the image,
    holds a pixel that was not measured (0), or where the plane misses the inverse depth by more than `tolerance` of its
    mean, as a root mean square: at an edge of depth.
    focal, centre: in pixels, across and down; the centre of the first pixel is 0.
    """
    measured = depth > 0
    inverse = 1 / np.where(measured, depth, 1.0).astype(np.float64)
    steps = np.arange(-radius, radius + 1)
    mean, square = (uniform_filter(values, 2 * radius + 1, mode="nearest") for values in (inverse, inverse**2))
    # of the inverse depth by pixel; across is axis 1
    slopes = [_slope(inverse, steps, axis) for axis in (1, 0)]
    missed = square - mean**2 - sum(slope**2 for slope in slopes) * (steps**2).mean()
    pixels = np.meshgrid(*(np.arange(side) - middle for side, middle in zip(depth.shape[::-1], centre, strict=True)))
    a, b = (slope * length for slope, length in zip(slopes, focal, strict=True))
    c = mean - sum(slope * pixel for slope, pixel in zip(slopes, pixels, strict=True))
    normals = -np.stack([a, b, c], axis=-1)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    inside = minimum_filter(measured, 2 * radius + 1, mode="constant", cval=False)
    normals[~inside | (missed > (tolerance * mean) ** 2)] = 0
    return normals


def _slope(values: np.ndarray, steps: np.ndarray, axis: int) -> np.ndarray:
    """Return the slope along an axis of the plane that fits the square round each pixel."""
    sums = correlate1d(values, steps / (steps**2).sum(), axis=axis, mode="nearest")
    lines: np.ndarray = correlate1d(sums, np.full(len(steps), 1 / len(steps)), axis=1 - axis, mode="nearest")
    return lines
