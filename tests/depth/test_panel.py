"""The panel of a prediction."""

from __future__ import annotations

import numpy as np

from depth.panel import depth_panel

GREY = 153  # 0.6 of 255


def grey_share(panel: np.ndarray, left: float, right: float) -> float:
    """Share of grey pixels between two shares of the width."""
    width = panel.shape[1]
    part = panel[:, int(left * width) : int(right * width)]
    return float((np.abs(part.astype(int) - GREY).max(axis=2) <= 1).mean())


def test_unmeasured_truth_is_grey_in_truth_and_error_only() -> None:
    truth = np.full((48, 64), 3.0)
    image, prediction = np.full((48, 64, 3), 255, np.uint8), np.full((48, 64), 3.5)
    whole = depth_panel(image, prediction, truth)
    truth[:24] = 0.0
    half = depth_panel(image, prediction, truth)
    assert half.dtype == np.uint8
    assert half.shape == whole.shape
    assert grey_share(whole, 0.0, 0.9) < 0.01
    assert grey_share(half, 0.0, 0.45) < 0.01
    assert grey_share(half, 0.46, 0.9) > 0.25


def test_a_perfect_prediction_looks_like_the_truth_and_has_no_error() -> None:
    truth = np.tile(np.linspace(1.0, 8.0, 64), (48, 1))
    image = np.zeros((48, 64, 3), np.uint8)
    perfect, wrong = depth_panel(image, truth, truth), depth_panel(image, truth[:, ::-1], truth)
    error = slice(int(0.7 * perfect.shape[1]), int(0.88 * perfect.shape[1]))
    middle = perfect.shape[0] // 2
    assert len(np.unique(perfect[middle, error], axis=0)) <= 3  # one colour, and the rim
    assert len(np.unique(wrong[middle, error], axis=0)) > 20
