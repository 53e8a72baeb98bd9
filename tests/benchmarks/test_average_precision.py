"""Mean average precision: VOC 2007's by its devkit's formula, the plain one by scikit-learn, on drawn items."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from benchmarks.average_precision import PrecisionScores
from benchmarks.scores import scores_of
from umt.errors import UMTError

ITEMS, CLASSES = 60, 5


@pytest.fixture
def ranked() -> tuple[np.ndarray, np.ndarray]:
    """Scores that are a little right, and truths with items that do not count; no item is of the last class."""
    rng = np.random.default_rng(0)
    truth = rng.choice([-1, 0, 1], (ITEMS, CLASSES), p=[0.1, 0.7, 0.2]).astype(np.int8)
    truth[truth[:, -1] == 1, -1] = 0
    return rng.standard_normal((ITEMS, CLASSES)) + truth, truth


def devkit(scores: np.ndarray, truth: np.ndarray) -> float:
    """Follow VOCevalcls.m: positives and negatives in order of confidence, eleven levels of recall."""
    order = np.argsort(-scores, kind="stable")
    right, wrong = np.cumsum(truth[order] == 1), np.cumsum(truth[order] == 0)
    recall, precision = right / np.sum(truth == 1), right / np.maximum(right + wrong, 1)
    average = 0.0
    for level in np.linspace(0, 1, 11):
        reached = precision[recall >= level]
        average += (reached.max() if len(reached) else 0) / 11
    return 100 * average


def sklearns(scores: np.ndarray, truth: np.ndarray) -> float:
    counted = truth >= 0
    return 100 * float(average_precision_score(truth[counted] == 1, scores[counted]))


@pytest.mark.parametrize(("levels", "peer"), [(True, devkit), (False, sklearns)])
def test_it_is_the_mean_of_the_classes_that_occur(ranked, levels: bool, peer) -> None:  # type: ignore[no-untyped-def]
    scores, truth = ranked
    expected = [peer(scores[:, label], truth[:, label]) for label in range(CLASSES - 1)]
    found = PrecisionScores(scores, truth, levels)
    assert found.by_class()[:-1] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found.by_class()[-1])
    assert found.over(np.ones((ITEMS, 1))) == pytest.approx([np.mean(expected)], rel=1e-12)
    assert 20 < np.mean(expected) < 80


@pytest.mark.parametrize("levels", [True, False])
def test_drawn_items_count_as_often_as_they_are_drawn(ranked, levels: bool) -> None:  # type: ignore[no-untyped-def]
    """A repeated item is a tie with itself, as a threshold of scikit-learn is."""
    scores, truth = ranked
    draws = np.random.default_rng(1).integers(0, ITEMS, (8, ITEMS))
    weights = np.stack([np.bincount(draw, minlength=ITEMS) for draw in draws], axis=1)
    found = PrecisionScores(scores, truth, levels)
    repeated = [PrecisionScores(scores[draw], truth[draw], levels).over(np.ones((ITEMS, 1)))[0] for draw in draws]
    for dtype in (np.float32, np.float64):
        assert found.over(weights.astype(dtype)) == pytest.approx(repeated, rel=1e-12)
    if not levels:
        plain = [np.mean([sklearns(scores[draw, k], truth[draw, k]) for k in range(CLASSES - 1)]) for draw in draws]
        assert repeated == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("levels", [True, False])
def test_without_each_item_it_is_that_of_the_others(ranked, levels: bool) -> None:  # type: ignore[no-untyped-def]
    scores, truth = ranked
    found = PrecisionScores(scores, truth, levels)
    assert found.without_each() == pytest.approx(found.over(1 - np.eye(ITEMS)), rel=1e-12)
    assert found.effects() == pytest.approx(found.over(np.ones((ITEMS, 1))) - found.without_each(), rel=1e-12)
    assert found.take(np.arange(ITEMS)[::-1]).effects() == pytest.approx(found.effects()[::-1])


def test_equal_scores_are_one_threshold() -> None:
    found = PrecisionScores(np.zeros((4, 1)), np.array([[1], [0], [0], [0]]), levels=True)
    assert found.over(np.ones((4, 1))) == pytest.approx([25])


@pytest.mark.parametrize(
    ("scores", "truth"),
    [
        (np.zeros((3, 2)), np.zeros((2, 2), np.int8)),
        (np.full((3, 2), np.nan), np.zeros((3, 2), np.int8)),
        (np.zeros((3, 2)), np.full((3, 2), 2, np.int8)),
    ],
)
def test_values_that_are_none_are_refused(scores: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(UMTError, match="no finite numbers and no -1, 0 or 1 alike; run the job again"):
        scores_of("map", {"scores": scores, "truth": truth})
