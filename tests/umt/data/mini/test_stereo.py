"""Measured depth of the Motorcycle pair."""

from __future__ import annotations

import numpy as np
import pytest

from umt.data.mini.photos import motorcycle
from umt.data.mini.stereo import crops, depth_of


def test_depth_from_disparity_at_full_size_is_the_same() -> None:
    """Middlebury's calibration of the full-size pair: f = 3979.911 px, baseline 193.001 mm, doffs = 124.343 px."""
    disparity = np.array([7.2, 20.0, 59.9])
    full = 3979.911 * 193.001 / (4 * disparity + 124.343) / 1000
    np.testing.assert_allclose(depth_of(disparity), full, rtol=1e-5)


def test_what_was_not_measured_is_zero() -> None:
    assert depth_of(np.array([np.inf, np.nan])).tolist() == [0, 0]


def test_the_scene_lies_between_two_and_five_metres() -> None:
    depth = depth_of(motorcycle()[1])
    measured = depth[depth > 0]
    assert 2.0 < measured.min() < measured.max() < 5.1
    assert 0.9 < len(measured) / depth.size < 0.95  # Middlebury leaves about 7% unmeasured


def test_crops_keep_depth_beside_its_pixel_and_halves_apart() -> None:
    disparity = motorcycle()[1]
    depths = {
        split: set(np.round(depth_of(disparity)[:, columns].astype(np.float32), 6).ravel())
        for split, columns in (("train", np.s_[:371]), ("test", np.s_[370:]))
    }
    for split, own in depths.items():
        rgb, depth = next(crops(split, 1, (640, 480)))
        assert rgb.shape == (480, 640, 3)
        assert depth.shape == (480, 640)
        assert set(np.round(depth, 6).ravel()) <= own


def test_crops_repeat(tmp_path_factory: pytest.TempPathFactory) -> None:
    first, again = (list(crops("train", 2, (64, 48))) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
