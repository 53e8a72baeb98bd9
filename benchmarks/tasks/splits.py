"""Training images that are held out to choose hyper-parameters on."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from umt.data.contract import Dataset, Sample
from umt.errors import TooFewError


def hold_out(labels: np.ndarray, share: float, names: Sequence[str], seed: int) -> np.ndarray:
    """Draw a mask [N] of a share of each class, at least one image and never all; UMTError for a class of one image."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), dtype=bool)
    for label, count in sorted(Counter(labels.tolist()).items()):
        if count < 2:
            raise TooFewError(
                f"class '{names[label]}' has 1 training image; choosing a penalty needs one more to validate on"
            )
        size = min(max(1, round(share * count)), count - 1)
        held_out[rng.permutation(np.flatnonzero(labels == label))[:size]] = True
    return held_out


def training_samples(dataset: Dataset) -> Sequence[Sample]:
    """Return `dataset.training_samples`, for tasks that were written for version 0.1."""
    warnings.warn("training_samples(dataset) is now dataset.training_samples", DeprecationWarning, 2)
    return dataset.training_samples


def report_samples(dataset: Dataset) -> Sequence[Sample]:
    """Return `dataset.reported_samples`, for tasks that were written for version 0.1."""
    warnings.warn("report_samples(dataset) is now dataset.reported_samples", DeprecationWarning, 2)
    return dataset.reported_samples
