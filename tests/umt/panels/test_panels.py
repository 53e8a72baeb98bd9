"""Tiles side by side."""

from __future__ import annotations

import numpy as np
import pytest

from umt.panels import MAX_TILE_WIDTH, pictured, side_by_side


def test_a_large_photograph_is_averaged_and_a_map_is_not() -> None:
    stripes = np.zeros((640, 2 * MAX_TILE_WIDTH, 3), np.uint8)
    stripes[:, ::2] = 200
    tiles = side_by_side(stripes, [stripes])
    assert tiles.shape == (320, 2 * MAX_TILE_WIDTH, 3)
    photo, drawn = np.split(tiles, 2, axis=1)
    assert set(np.unique(photo)) == {100}
    assert set(np.unique(drawn)) <= {0, 200}


def test_a_small_picture_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 255, (7, 9, 3), np.uint8)
    np.testing.assert_array_equal(side_by_side(image, [image]), np.concatenate([image, image], axis=1))


@pytest.mark.parametrize(("count", "indices"), [(0, []), (2, [0, 1]), (4, [0, 1, 2, 3]), (2000, [0, 500, 1000, 1500])])
def test_a_few_images_are_shown(count: int, indices: list[int]) -> None:
    assert list(pictured(count)) == indices
