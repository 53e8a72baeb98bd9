"""Normals as image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umt.data.normals import read_normals, save_normals
from umt.errors import DataError


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    normals = np.random.default_rng(0).normal(size=(5, 7, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0, :3] = [[0, 0, -1], [1, 0, 0], [0, -1, 0]]
    given = normals * 1.5  # of any length
    given[1, 1], given[2, 2], given[3, 3] = 0, np.nan, 0.1
    save_normals(given, tmp_path / "normals.png")
    read = read_normals(tmp_path / "normals.png", (5, 7))
    none = np.zeros((5, 7), bool)
    none[[1, 2, 3], [1, 2, 3]] = True
    assert read.dtype == np.float32
    assert not read[none].any()
    np.testing.assert_allclose(read[~none], normals[~none], atol=2e-5)
    np.testing.assert_array_equal(read[0, :3], normals[0, :3])


def test_other_files_are_no_normals(tmp_path: Path) -> None:
    path = tmp_path / "normals.png"
    for values, reason in (
        (np.ones((8, 4), np.uint16), "shape 8x4, expected 16-bit normals of 9x4"),
        (np.ones((9, 4), np.uint8), "shape 9x4, expected 16-bit normals"),
        (np.zeros((9, 4), np.uint16), "no vectors of unit length"),
        (np.full((9, 4), 60_000, np.uint16), "no vectors of unit length"),
    ):
        Image.fromarray(values).save(path)
        with pytest.raises(DataError, match=reason):
            read_normals(path, (3, 4))
