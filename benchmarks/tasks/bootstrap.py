"""Uncertainty of an accuracy over other test images: the percentile bootstrap (Efron 1979)."""

from __future__ import annotations

from typing import Any

import numpy as np

DRAWS = 1000
LEVEL = 95  # percent


def bootstrap_interval(reported: str, predictions: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Any]:
    """Compute the interval of `accuracy` over test images drawn with replacement: low, high and the method."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(labels), len(labels)) for _ in range(DRAWS))
    found = [_accuracy(reported, predictions[images] == labels[images], labels[images]) for images in draws]
    low, high = np.percentile(found, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {"low": float(low), "high": float(high), "percent": LEVEL, "draws": DRAWS, "seed": seed}


def _accuracy(reported: str, right: np.ndarray, labels: np.ndarray) -> float:
    """Compute `accuracy` of `fine_grained` by counting the right answers of `right`: a thousand draws take a second."""
    if reported == "top1":
        return 100 * float(right.mean())
    images = np.bincount(labels)
    present = images > 0
    return 100 * float((np.bincount(labels, weights=right)[present] / images[present]).mean())
