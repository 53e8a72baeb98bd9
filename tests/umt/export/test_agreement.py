"""Differences of known size, and those that have no size."""

from __future__ import annotations

import math

import pytest
from torch import Tensor

from umt.backbones import Backbone
from umt.errors import UMTError
from umt.export.agreement import Agreement, Outputs, measure, named_outputs, require, shapes_of


def test_the_difference_is_relative_to_the_largest_value_of_each_output(convolutions: type[Backbone]) -> None:
    backbone = convolutions().eval()

    def doubled_last_map(images: Tensor) -> Outputs:
        outputs = named_outputs(backbone(images))
        return {**outputs, "map_1": outputs["map_1"] * 1.5}

    shapes = shapes_of(backbone)
    assert shapes == [(2, 32, 32), (1, 32, 40)]
    for shape, found in zip(shapes, measure(backbone, doubled_last_map, shapes), strict=True):
        assert found.shape == shape
        assert found.worst == "map_1"
        assert found.differences == {"pooled": 0, "map_0": 0, "map_1": pytest.approx(0.5)}


def test_another_shape_is_infinitely_different(convolutions: type[Backbone]) -> None:
    backbone = convolutions().eval()
    (found,) = measure(backbone, lambda images: named_outputs(backbone(images[..., :24])), [(1, 32, 32)])
    assert found.differences["map_0"] == math.inf
    with pytest.raises(UMTError, match=r"there: differs from the checkpoint by 1 x 32 x 32: inf \(map_0\)"):
        require([found], 1e-4, "there")


@pytest.mark.parametrize(("value", "good"), [(1e-5, True), (2e-4, False), (math.nan, False)])
def test_only_small_numbers_pass(value: float, good: bool) -> None:
    agreements = [Agreement((1, 8, 8), {"pooled": 0.0}), Agreement((1, 8, 16), {"pooled": value, "map_0": 9e-5})]
    if good:
        require(agreements, 1e-4, "there")
    else:
        with pytest.raises(UMTError, match=r"1 x 8 x 16: \S+ \(pooled\), more than 0.0001"):
            require(agreements, 1e-4, "there")
