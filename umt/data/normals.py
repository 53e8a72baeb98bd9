"""Surface normals as an image file: 16-bit grey, the parts x, y and z of all normals below each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from umt.data.images import decode
from umt.errors import DataError

SCALE = 32_767  # steps from 0 to 1
ZERO = SCALE + 1  # the value of a part that is 0; where there is no normal, all three values are 0
SHORTEST = 0.5  # a shorter vector is no normal
TOLERANCE = 1e-3  # of a unit length


def save_normals(normals: np.ndarray, path: Path) -> None:
    """Save vectors [H, W, 3], scaled to unit length, as PNG; short ones, and those that are not finite, are none."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = np.isfinite(length) & (length >= SHORTEST)
    units = np.where(known, normals, 0) / np.where(known, length, 1)
    values = np.where(known, np.round(units * SCALE) + ZERO, 0).astype(np.uint16)
    Image.fromarray(np.concatenate(np.moveaxis(values, -1, 0))).save(path, compress_level=1)


def read_normals(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return unit normals float32 [H, W, 3] of an image of this height and width, 0 where there is none.

    Raises UMTError if the file holds anything else.
    """
    values = np.asarray(decode(path))
    if values.dtype.itemsize < 2 or values.shape != (3 * shape[0], shape[1]):
        size = "x".join(map(str, values.shape))
        raise DataError(
            f"{path}: shape {size}, expected 16-bit normals of {3 * shape[0]}x{shape[1]}; prepare the data set again"
        )
    parts = np.stack(np.split(values.astype(np.float32), 3), axis=-1)
    known = parts.max(axis=-1) > 0
    normals: np.ndarray = np.where(known[..., None], (parts - ZERO) / SCALE, np.float32(0))
    if not known.any() or np.abs(np.linalg.norm(normals[known], axis=-1) - 1).max() > TOLERANCE:
        raise DataError(f"{path}: no vectors of unit length; prepare the data set again")
    return normals
