"""The levels of published DPT heads follow from the rule."""

from __future__ import annotations

import pytest

from depth.levels import QUARTERS, dpt_levels


@pytest.mark.parametrize(
    ("strides", "levels"),
    [
        ([16] * 12, (3, 5, 7, 11)),  # ViT-B, paper A.1
        ([16] * 24, (7, 11, 15, 23)),  # ViT-L, paper A.1
        ([14] * 6, (1, 2, 3, 5)),
        ([16] * 4, (0, 1, 2, 3)),
        ([16], (0, 0, 0, 0)),
        ([4, 8, 16, 32], (0, 1, 2, 3)),  # ConvNeXt
        ([2, 4, 8, 16, 32], (1, 2, 3, 4)),  # ResNet with its stem
        ([8, 16], (0, 0, 0, 1)),
    ],
)
def test_levels(strides: list[int], levels: tuple[int, ...]) -> None:
    assert dpt_levels(strides) == levels


@pytest.mark.parametrize(("depth", "levels"), [(12, (2, 5, 8, 11)), (40, (9, 19, 29, 39))])
def test_quarters_are_those_of_dinov2s_depth(depth: int, levels: tuple[int, ...]) -> None:
    assert dpt_levels([14] * depth, QUARTERS) == levels
    assert dpt_levels([4, 8, 16, 32], QUARTERS) == (0, 1, 2, 3)
