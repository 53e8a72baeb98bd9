"""The splits of a classification data set to train on, to select on and to report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from umt.data.contract import Dataset, Sample
from umt.errors import TooFewError


@dataclass(frozen=True)
class Splits:
    """Names of official splits; `select` is None if the data set has none to choose hyper-parameters on."""

    train: str
    select: str | None
    report: str


SPLITS = {
    "imagenet": Splits("train", None, "val"),  # the labels of the official test set are not public
    "aircraft": Splits("train", "val", "test"),
    "caltech101": Splits("train", None, "test"),
    "cub": Splits("train", None, "test"),
}


def training_samples(dataset: Dataset) -> list[Sample]:
    """Return all samples that may be trained on: the training split, and the one for selection if there is one."""
    splits = SPLITS[dataset.info.name]
    return [*dataset.samples(splits.train), *(dataset.samples(splits.select) if splits.select else [])]


def report_samples(dataset: Dataset) -> list[Sample]:
    """Return the samples for the reported number."""
    return dataset.samples(SPLITS[dataset.info.name].report)


def hold_out(labels: np.ndarray, share: float, names: Sequence[str], seed: int) -> np.ndarray:
    """Draw a mask [N] of a share of each class, at least one image and never all; UMTError for a class of one image."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    for label, count in sorted(Counter(labels.tolist()).items()):
        if count < 2:
            raise TooFewError(
                f"class '{names[label]}' has 1 training image; choosing a penalty needs one more to validate on"
            )
        size = min(max(1, round(share * count)), count - 1)
        held[rng.permutation(np.flatnonzero(labels == label))[:size]] = True
    return held
