"""Values of annotated pixels as class indices."""

from __future__ import annotations

import numpy as np
import pytest

from umt.data.targets.labels import Labels

VOC = Labels(tuple(range(21)), (255,))


def test_zero_is_no_class_and_others_count_from_zero() -> None:
    labels = Labels.after_zero(150)
    assert labels.indices(np.array([[0, 1], [2, 150]], np.uint8)).tolist() == [[255, 0], [1, 149]]
    assert labels.expected == "0..150"


def test_a_set_of_its_own_values() -> None:
    assert VOC.indices(np.array([0, 20, 255], np.uint8)).tolist() == [0, 20, 255]
    assert VOC.expected == "0..20, 255"
    street = Labels((7, 8, 11), (0, 9))
    assert street.indices(np.array([11, 0, 7, 9, 8])).tolist() == [2, 255, 0, 255, 1]
    assert street.expected == "0, 7..9, 11"


@pytest.mark.parametrize(
    ("values", "unknown"),
    [
        (np.array([0, 20, 255], np.uint8), None),
        (np.array([0, 21, 200, 255], np.uint8), 200),
        (np.array([0, 300], np.uint16), 300),
        (np.array([0, -1], np.int32), -1),
        (np.array([True, False]), None),
    ],
)
def test_the_largest_unknown_value_is_named(values: np.ndarray, unknown: int | None) -> None:
    assert VOC.unknown(values) == unknown
