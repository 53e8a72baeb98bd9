"""The scores of DAVIS 2017 (Perazzi et al. 2016): overlap of regions J and of boundaries F over frames.

They equal those of the public davis2017-evaluation for videos of up to 255 frames, beyond which its decay overflows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

TOLERANCE = 0.008  # of the image's diagonal: boundaries that are no farther apart agree
RECALLED = 0.5  # a frame above it counts for the recall
QUARTERS = 4  # the decay is the mean of the first quarter of the frames less that of the last
STATISTICS = ("mean", "recall", "decay")


def region_overlap(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return J, the intersection over union of two masks [H, W]; 1 if both are empty."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else 1.0


def boundary_overlap(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return F, the harmonic mean of the shares of each boundary that lie close to the other."""
    reach = math.ceil(TOLERANCE * math.hypot(*truth.shape))
    true, guessed = boundary(truth), boundary(predicted)
    if not len(true) or not len(guessed):
        return float(len(true) == len(guessed))
    precision, recall = close_share(guessed, true, reach), close_share(true, guessed, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: np.ndarray) -> np.ndarray:
    """Return the pixels (y, x) [N, 2] that differ from the one to the right, below, or below and right."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    differs = (mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1]) | (mask ^ padded[1:, 1:])
    return np.argwhere(differs)


def close_share(points: np.ndarray, targets: np.ndarray, reach: int) -> float:
    """Return the share of points [N, 2] with a target within `reach` pixels."""
    distances, _ = cKDTree(targets).query(
        points, distance_upper_bound=reach + 0.5
    )  # distances between pixels are roots
    return np.count_nonzero(distances <= reach) / len(points)


def statistics(values: np.ndarray) -> dict[str, float]:
    """Return mean, recall and decay of the values [T] of an object's frames."""
    ends = np.round(np.linspace(1, len(values), QUARTERS + 1) + 1e-10).astype(int) - 1
    first, last = values[: ends[1] + 1], values[ends[-2] : ends[-1] + 1]
    return {
        "mean": float(values.mean()),
        "recall": float((values > RECALLED).mean()),
        "decay": float(first.mean() - last.mean()),
    }


def object_scores(regions: np.ndarray, boundaries: np.ndarray) -> Mapping[str, float]:
    """Return the scores of an object by metric, in percent, from J and F of its frames [T]."""
    scores = {
        f"{letter}_{name}": 100 * value
        for letter, values in (("j", regions), ("f", boundaries))
        for name, value in statistics(values).items()
    }
    return {"jf": (scores["j_mean"] + scores["f_mean"]) / 2, **scores}
