"""The choice of the four maps of a backbone that a DPT head reads, by rule and not by name."""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = 4
QUARTERS = (1 / 4, 1 / 2, 3 / 4, 1.0)  # of the blocks: 2, 5, 8, 11 of 12, as DINOv2's depth heads have them
# of the blocks: 3, 5, 7, 11 of 12 and 7, 11, 15, 23 of 24 (paper A.1, counted from 0)
SHARES = (1 / 3, 1 / 2, 2 / 3, 1.0)


def dpt_levels(strides: Sequence[int], shares: tuple[float, float, float, float] = SHARES) -> tuple[int, int, int, int]:
    """Return the indices of four maps, shallow to deep, given the stride of every map in pixels.

    Equal strides (ViT): the blocks at these shares of the depth. Otherwise (CNN, hierarchical ViT): the
    last four stages; a backbone with fewer repeats its first.
    """
    depth = len(strides)
    if len(set(strides)) == 1:
        first, second, third, last = (max(round(share * depth), 1) - 1 for share in shares)
    else:
        first, second, third, last = (max(depth - LEVELS + level, 0) for level in range(LEVELS))
    return first, second, third, last
