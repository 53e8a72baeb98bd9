"""Metrics of weighted items, against their direct computation on the drawn items."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from benchmarks.scores import ClassMeanScores, IouScores, MeanScores

ITEMS, CLASSES, DRAWS = 60, 5, 20


@pytest.fixture
def draws():  # type: ignore[no-untyped-def]
    """Drawn items, and how often each is drawn."""
    drawn = np.random.default_rng(0).integers(0, ITEMS, (DRAWS, ITEMS))
    return drawn, np.stack([np.bincount(row, minlength=ITEMS) for row in drawn], axis=1).astype(float)


def test_accuracies_are_those_of_sklearn_on_the_drawn_items(draws) -> None:  # type: ignore[no-untyped-def]
    drawn, weights = draws
    rng = np.random.default_rng(1)
    labels = rng.integers(0, CLASSES, ITEMS)
    predictions = np.where(rng.random(ITEMS) < 0.6, labels, (labels + 1) % CLASSES)
    right = 100.0 * (predictions == labels)
    means = [100 * np.mean(predictions[row] == labels[row]) for row in drawn]
    balanced = [100 * balanced_accuracy_score(labels[row], predictions[row]) for row in drawn]
    assert MeanScores(right, labels).over(weights) == pytest.approx(means)
    assert ClassMeanScores(right, labels).over(weights) == pytest.approx(balanced)
    assert ClassMeanScores(right, labels).effects().sum() == pytest.approx(
        100 * balanced_accuracy_score(labels, predictions)
    )


def test_mean_iou_is_that_of_a_confusion_matrix_over_the_drawn_images(draws) -> None:  # type: ignore[no-untyped-def]
    drawn, weights = draws
    rng = np.random.default_rng(2)
    truth = rng.integers(0, CLASSES - 1, (ITEMS, 50))  # the last class is nowhere in truth or prediction
    prediction = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, CLASSES - 1, truth.shape))
    matrices = np.stack(
        [confusion_matrix(*rows, labels=range(CLASSES)) for rows in zip(truth, prediction, strict=True)]
    )
    both = np.diagonal(matrices, axis1=1, axis2=2)
    scores = IouScores(both.astype(float), (matrices.sum(axis=1) + matrices.sum(axis=2) - both).astype(float))
    assert scores.over(weights) == pytest.approx([_miou(matrices[row].sum(axis=0)) for row in drawn])
    assert scores.by_class()[:-1].mean() == pytest.approx(scores.over(np.ones((ITEMS, 1)))[0])


def _miou(matrix: np.ndarray) -> float:
    both = np.diag(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - both
    return 100 * float(np.mean(both[union > 0] / union[union > 0]))


def test_the_effect_of_an_image_on_mean_iou_is_its_derivative() -> None:
    rng = np.random.default_rng(3)
    both = rng.integers(1, 50, (ITEMS, CLASSES)).astype(float)
    scores = IouScores(both, both + rng.integers(1, 50, both.shape))
    step = 1e-6
    moved = scores.over(1 + step * np.eye(ITEMS)) - scores.over(np.ones((ITEMS, 1)))
    assert scores.effects() == pytest.approx(moved / step, rel=1e-4, abs=1e-6)


def test_items_without_a_value_do_not_count() -> None:
    """A query for which nothing is right to find: the mean over the others, however often each is drawn."""
    values = np.array([1.0, np.nan, 4.0, np.nan, 7.0])
    draws = np.array([[0, 1, 1, 3, 4], [2, 2, 3, 4, 1]])
    weights = np.stack([np.bincount(draw, minlength=5) for draw in draws], axis=1).astype(float)
    scores = MeanScores(values)
    assert scores.over(weights) == pytest.approx([np.nanmean(values[draw]) for draw in draws])
    assert scores.effects().sum() == pytest.approx(4)


def test_mean_iou_without_each_image_is_that_of_the_others() -> None:
    rng = np.random.default_rng(4)
    intersection = rng.integers(0, 50, (ITEMS, CLASSES)).astype(float) * (rng.random((ITEMS, CLASSES)) < 0.1)
    scores = IouScores(intersection, intersection + (intersection > 0) * rng.integers(1, 50, intersection.shape))
    assert scores.without_each() == pytest.approx(scores.over(1 - np.eye(ITEMS)))
    assert MeanScores(intersection[:, 0]).without_each() is None
