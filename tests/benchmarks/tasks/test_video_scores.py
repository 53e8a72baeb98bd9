"""J and F against their definitions, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.tasks.video_scores import boundary, boundary_overlap, object_scores, region_overlap, statistics


@pytest.fixture
def masks() -> list[np.ndarray]:
    """Blobs, some at the border, one empty and one full."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :60]
    blobs = [
        np.hypot(y - rng.integers(0, 40), (x - rng.integers(0, 60)) / rng.uniform(1, 2)) < rng.uniform(3, 15)
        for _ in range(6)
    ]
    return [*blobs, np.zeros((40, 60), bool), np.ones((40, 60), bool)]


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """Each pixel against its neighbours to the right, below, and below and right, if they are in the image."""
    height, width = mask.shape
    drawn = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            steps = [(0, 1), (1, 0), (1, 1)]
            if x == width - 1:
                steps = [(1, 0)]
            if y == height - 1:
                steps = [(0, 1)]
            drawn[y, x] = any(
                mask[y, x] != mask[y + down, x + right]
                for down, right in steps
                if y + down < height and x + right < width
            )
    return drawn


def f_of(truth: np.ndarray, predicted: np.ndarray) -> float:
    reach = math.ceil(0.008 * math.sqrt(40**2 + 60**2))

    def matched(part: np.ndarray, whole: np.ndarray) -> int:
        return sum(
            any(whole[v, u] and (y - v) ** 2 + (x - u) ** 2 <= reach**2 for v in range(40) for u in range(60))
            for y, x in np.argwhere(part)
        )

    true, guessed = boundary_map(truth), boundary_map(predicted)
    if not true.any() or not guessed.any():
        return float(true.any() == guessed.any())
    precision = matched(guessed, true) / guessed.sum()
    recall = matched(true, guessed) / true.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_boundaries(masks: list[np.ndarray]) -> None:
    for mask in masks:
        np.testing.assert_array_equal(boundary(mask), np.argwhere(boundary_map(mask)))


def test_overlaps(masks: list[np.ndarray]) -> None:
    for truth in masks[:3] + masks[-2:]:
        for predicted in masks[2:]:
            union = (truth | predicted).sum()
            assert region_overlap(truth, predicted) == ((truth & predicted).sum() / union if union else 1)
            assert boundary_overlap(truth, predicted) == pytest.approx(f_of(truth, predicted), abs=1e-15)


def test_statistics_of_an_object() -> None:
    values = np.array([1.0, 0.9, 0.8, 0.7, 0.5, 0.4, 0.2, 0.1, 0.0])
    measured = statistics(values)
    assert measured["mean"] == pytest.approx(values.mean())
    assert measured["recall"] == pytest.approx(4 / 9)
    assert measured["decay"] == pytest.approx(
        np.mean([1.0, 0.9, 0.8]) - np.mean([0.2, 0.1, 0.0])
    )  # quarters share ends
    assert statistics(np.array([0.6]))["decay"] == 0


def test_the_mean_of_both_is_in_percent() -> None:
    scores = object_scores(np.array([0.5, 0.7]), np.array([0.2, 0.4]))
    assert scores["j_mean"] == pytest.approx(60)
    assert scores["f_mean"] == pytest.approx(30)
    assert scores["jf"] == pytest.approx(45)
