"""The fields that a measurement stores beside the values of its task."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.jobs.measure import scored_items

NAN = float("nan")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, {}),
        ({"labels": [0, 1, 2], "predictions": [0, 1, 1], "scores": [[0.5, 0.5]] * 3}, {"top1": 3, "top5": 3}),
        ({"top1": [1.0, NAN, 0.0], "image": ["a", "b", "c"]}, {"top1": 2, "top5": 3}),
        ({"top1": [1.0, 0.0], "chosen": [4, 5, 6]}, {"top1": 2}),
    ],
)
def test_items_are_those_with_values(raw: dict[str, list[object]], expected: dict[str, int]) -> None:
    arrays = {name: np.array(values) for name, values in raw.items()}
    assert scored_items({"top1": 50.0, "top5": 90.0}, arrays) == expected
