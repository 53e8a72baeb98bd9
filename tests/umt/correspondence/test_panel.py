"""The picture of a pair's keypoints."""

from __future__ import annotations

import numpy as np

from umt.correspondence.panel import RIGHT, SIDE, WRONG, keypoint_panel


def test_dots_lie_at_their_points_and_rings_tell_right_from_wrong() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    source, truth, found = (
        np.array([[0.25, 0.5], [0.75, 0.5]]),
        np.full((2, 2), 0.25),
        np.array([[0.5, 0.25], [0.5, 0.75]]),
    )
    panel = keypoint_panel(grey, grey, (source, truth, found), np.array([True, False]))
    tiles = np.split(panel.pixels, 3, axis=1)
    assert (tiles[0][SIDE // 2, SIDE // 4] == tiles[2][SIDE // 4, SIDE // 2]).all(), "a keypoint keeps its colour"
    assert (tiles[0][SIDE // 2, SIDE // 4] != tiles[0][SIDE // 2, 3 * SIDE // 4]).any()
    upper, lower = np.split(tiles[2], 2)
    for ring, half, other in ((RIGHT, upper, lower), (WRONG, lower, upper)):
        assert (half == ring).all(axis=2).any()
        assert not (other == ring).all(axis=2).any()
