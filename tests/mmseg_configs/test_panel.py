"""The panel of a segmentation."""

from __future__ import annotations

import numpy as np

from mmseg_configs.panel import MAX_LEGEND_CLASSES, largest, paint, segmentation_panel

NAMES = [f"class {index}" for index in range(20)]
PALETTE = [[10 * index + 5, 255 - 10 * index, 128] for index in range(20)]


def shares(panel: np.ndarray, colour: list[int]) -> list[float]:
    """The share of a colour in each third of the pictures, which end where the legend starts."""
    found = (np.abs(panel.astype(int) - colour).max(axis=2) <= 1).astype(float)
    return [float(part.mean()) for part in np.array_split(found[:, : int(0.85 * panel.shape[1])], 3, axis=1)]


def test_prediction_and_truth_are_in_the_colours_of_their_classes() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    prediction, truth = np.full((60, 80), 3), np.full((60, 80), 7)
    panel = segmentation_panel(image, prediction, truth, NAMES, PALETTE)
    assert panel.dtype == np.uint8
    predicted, true = shares(panel, PALETTE[3]), shares(panel, PALETTE[7])
    assert predicted[1] > 0.3
    assert predicted[0] == 0
    assert true[2] > 0.3
    assert true[0] == 0


def test_what_is_no_class_is_black() -> None:
    painted = paint(np.array([[0, 255]]), PALETTE)
    assert painted.tolist() == [[PALETTE[0], [0, 0, 0]]]


def test_the_legend_names_the_largest_classes_of_both() -> None:
    prediction, truth = np.array([[4, 4, 4, 255]]), np.array([[255, 2, 2, 9]])
    assert largest(prediction, truth, classes=20) == [4, 2, 9]
    assert len(largest(np.arange(20), np.arange(20), classes=20)) == MAX_LEGEND_CLASSES
