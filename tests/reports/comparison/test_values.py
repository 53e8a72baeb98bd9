"""Metrics of weighted items, against their direct computation on the drawn items."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from reports.comparison.values import ClassMeanScores, IouScores, MeanScores, read_scores
from reports.results.store import read_measurements
from umt.errors import ResultError

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


def test_values_that_do_not_give_the_number_are_refused(store, answers) -> None:  # type: ignore[no-untyped-def]
    answers("a", np.arange(40) < 30, value=76.0)
    [measurement] = read_measurements(store.folder)
    with pytest.raises(ResultError, match="its items do not give its accuracy 76"):
        read_scores(measurement, "accuracy")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_damaged_file_of_values_is_one_line(store, answers, content: bytes) -> None:  # type: ignore[no-untyped-def]
    answers("a", np.arange(40) < 30)
    [measurement] = read_measurements(store.folder)
    measurement.path.with_suffix(".npz").write_bytes(content)
    with pytest.raises(ResultError, match=r"npz: cannot be read .*; run the job again"):
        read_scores(measurement, "accuracy")
    measurement.path.with_suffix(".npz").unlink()
    with pytest.raises(ResultError, match="cannot be read"):
        read_scores(measurement, "accuracy")


def test_few_shot_hits_are_shares_of_draws(store, result, cub) -> None:  # type: ignore[no-untyped-def]
    hits = np.random.default_rng(4).random((7, 30)) < 0.5
    value = 100 * float(hits.mean())
    store.write(result(cub, value), {"hits": hits, "labels": np.arange(30) % 3})
    scores = read_scores(read_measurements(store.folder)[0], "accuracy").ways["top1"]
    assert scores.effects() * 30 == pytest.approx(100 * hits.mean(axis=0))
    assert scores.right is None


@pytest.mark.parametrize(
    ("metric", "raw"),
    [
        ("accuracy", {"labels": np.array(["a", "b"]), "predictions": np.array([0, 1])}),
        ("accuracy", {"labels": np.array([0, 1]), "predictions": np.array([0, 1]), "image": np.array([["a"], ["b"]])}),
        ("accuracy", {"labels": np.array([0, 1]), "predictions": np.array([0, 1]), "image": np.array(["a"])}),
        ("accuracy", {"labels": np.array([0, -1]), "predictions": np.array([0, 1])}),
        ("accuracy", {"labels": np.array([0, 1 << 40]), "predictions": np.array([0, 1])}),
        ("miou", {"areas": np.zeros((3, 4), dtype=np.int32)}),
        ("miou", {"areas": np.array([[1 << 30, 0, 1, 1, 1]])}),
        ("miou", {"areas": np.array([[0, 0, 1, 1, 1], [5, 0, 1, 1, 1]]), "image": np.array(["a", "b"])}),
        ("miou", {"areas": np.zeros((0, 5), dtype=np.int32)}),
        ("rmse", {"rmse": np.array([0.1, np.nan])}),
        ("rmse", {"rmse": np.array(["0.1"])}),
    ],
)
def test_arrays_of_another_form_are_one_line(store, result, cub, metric: str, raw) -> None:  # type: ignore[no-untyped-def]
    store.write(result(cub, 1.0, metrics={metric: 100.0}), raw)
    [measurement] = read_measurements(store.folder)
    with pytest.raises(ResultError, match="run the job again"):
        read_scores(measurement, metric)
