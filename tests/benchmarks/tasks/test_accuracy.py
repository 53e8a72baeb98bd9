"""Accuracies against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from benchmarks.tasks.accuracy import fine_grained, mean_per_class, top1, top_k
from umt.data.registry import dataset_info

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(200, 7))
LABELS = RNG.integers(0, 7, 200) % np.array([7, 3])[RNG.integers(0, 2, 200)]  # classes of unequal size
PREDICTIONS = SCORES.argmax(axis=1)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_equals_sklearns(k: int) -> None:
    assert top_k(SCORES, LABELS, k) == pytest.approx(100 * top_k_accuracy_score(LABELS, SCORES, k=k))


def test_means_equal_sklearns() -> None:
    assert top1(PREDICTIONS, LABELS) == pytest.approx(100 * accuracy_score(LABELS, PREDICTIONS))
    assert mean_per_class(PREDICTIONS, LABELS) == pytest.approx(100 * balanced_accuracy_score(LABELS, PREDICTIONS))


def test_classes_without_images_are_left_out_of_the_mean() -> None:
    assert mean_per_class(np.array([0, 9, 2]), np.array([0, 0, 2])) == 75


def test_scores_that_are_no_numbers_or_tie_count_as_wrong() -> None:
    assert top_k(np.full((3, 4), np.nan), np.array([0, 1, 2]), 1) == 0
    assert top_k(np.zeros((3, 4)), np.array([0, 1, 2]), 3) == 0


@pytest.mark.parametrize(("dataset", "headline"), [("aircraft", 75), ("caltech101", 75), ("cub", 200 / 3)])
def test_headline_is_what_papers_report(dataset: str, headline: float) -> None:
    found = fine_grained(dataset_info(dataset).metric, np.array([0, 1, 2]), np.array([0, 0, 2]))
    assert found == pytest.approx({"accuracy": headline, "top1": 200 / 3, "mean_per_class": 75})
