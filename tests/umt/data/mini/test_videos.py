"""Videos of moving shapes: the same every time, and with masks of what is seen."""

from __future__ import annotations

import numpy as np

from umt.data.mini.videos import moving_shapes


def test_equal_seeds_give_equal_videos() -> None:
    first, second, other = ([*moving_shapes(seed, 3, (160, 96))] for seed in (5, 5, 6))
    for (rgb, mask), (same_rgb, same_mask) in zip(first, second, strict=True):
        np.testing.assert_array_equal(rgb, same_rgb)
        np.testing.assert_array_equal(mask, same_mask)
    assert (first[0][0] != other[0][0]).any()


def test_masks_are_of_two_or_three_objects_that_move() -> None:
    for seed in range(8):
        masks = [mask for _, mask in moving_shapes(seed, 12, (160, 96))]
        objects = set(range(1, masks[0].max() + 1))
        assert len(objects) in (2, 3)
        for mask in masks:
            assert objects <= set(np.unique(mask))
        assert (masks[0] != masks[-1]).any()
