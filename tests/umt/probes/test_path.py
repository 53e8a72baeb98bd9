"""Certified logistic regression against scikit-learn, closed forms, and inputs that break solvers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from umt.errors import UMTError
from umt.probes import path as module
from umt.probes.path import Fit, penalty_path, stepping_stones

Points = tuple[np.ndarray, np.ndarray]


def clouds(images: int, width: int, classes: int, seed: int = 0, distance: float = 1.0) -> Points:
    """Overlapping classes; features of different scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    features = distance * rng.normal(size=(classes, width))[labels] + rng.normal(size=(images, width))
    return (features * np.geomspace(1, 0.03, width) + 5).astype(np.float32), labels


def objective(points: Points, fit: Fit) -> float:
    features, labels = torch.from_numpy(points[0]).double(), torch.from_numpy(points[1])
    losses = F.cross_entropy(features @ fit.weights + fit.bias, labels, reduction="sum")
    return (losses + fit.penalty / 2 * fit.weights.square().sum()).item()


def peer(points: Points, penalty: float, tolerance: float = 1e-10) -> tuple[float, LogisticRegression]:
    """scikit-learn's Newton solver and the objective where it ends."""
    model = LogisticRegression(C=1 / penalty, solver="newton-cg", tol=tolerance, max_iter=10000)
    model.fit(points[0].astype(np.float64), points[1])
    shape = torch.from_numpy(model.coef_.T), torch.from_numpy(model.intercept_)
    return objective(points, Fit(penalty, *shape, model.classes_, 0.0, 0.0, True)), model


@pytest.mark.parametrize("size", [(300, 20, 7), (60, 150, 5), (2000, 4, 3)], ids=["usual", "wide", "tall"])
def test_gap_is_what_it_says(size: tuple[int, int, int]) -> None:
    """Asked for a part in ten million: not above scikit-learn's minimum by more, and never below it."""
    points = clouds(*size)
    for fit in penalty_path(*points, np.geomspace(1e-2, 1e3, 6).tolist(), gap=1e-7):
        expected, model = peer(points, fit.penalty)
        assert fit.certified
        assert fit.gap <= 1e-7
        assert fit.value == pytest.approx(objective(points, fit), rel=1e-12)
        assert -1e-9 * expected <= fit.value - expected <= 1e-7 * fit.value
        np.testing.assert_array_equal(fit.predict(points[0]), model.predict(points[0].astype(np.float64)))


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-9])
def test_certificate_bounds_the_true_distance(gap: float) -> None:
    """The bound holds however loose the fit is, with its bias not at its best."""
    points = clouds(200, 12, 4)
    for fit in penalty_path(*points, [100.0, 1.0, 0.01], gap=gap):
        best = peer(points, fit.penalty)[0]
        assert (fit.value - best) / fit.value <= fit.gap + 1e-12
        assert fit.gap <= gap


def test_the_weights_are_scikit_learns() -> None:
    points = clouds(300, 20, 7)
    (fit,) = penalty_path(*points, [1.0], gap=1e-13)
    _, model = peer(points, 1.0, tolerance=1e-12)
    np.testing.assert_allclose(fit.weights.T, model.coef_, atol=1e-6)


def test_path_goes_from_strong_to_weak() -> None:
    assert [fit.penalty for fit in penalty_path(*clouds(50, 5, 3), [0.1, 100.0, 1.0])] == [100.0, 1.0, 0.1]


def test_separable_classes_under_a_tiny_penalty_stay_certified() -> None:
    """The objective is a millionth of an image's loss at the start, and its relative gap is still meant."""
    points = clouds(100, 30, 4, distance=20)
    *_, fit = penalty_path(*points, np.geomspace(1e-8, 1e2, 11).tolist())
    assert fit.certified
    assert fit.value < 1e-5
    assert (fit.predict(points[0]) == points[1]).all()
    *_, closer = penalty_path(*points, np.geomspace(1e-8, 1e2, 11).tolist(), gap=1e-10)
    assert 0 <= fit.value - closer.value <= 1e-6 * fit.value


def test_one_class_costs_nothing() -> None:
    (fit,) = penalty_path(clouds(20, 5, 2)[0], np.full(20, 7), [1.0])
    assert (fit.value, fit.gap, fit.certified) == (0.0, 0.0, True)
    assert set(fit.predict(np.zeros((3, 5), dtype=np.float32))) == {7}


def test_features_without_variance_give_the_class_shares() -> None:
    labels = np.array([0, 0, 0, 2])
    (fit,) = penalty_path(np.full((4, 6), 3.0, dtype=np.float32), labels, [1e-3])
    assert fit.certified
    assert fit.value == pytest.approx(-3 * math.log(0.75) - math.log(0.25))
    assert (fit.predict(np.full((2, 6), 3.0)) == 0).all()


def test_one_weak_penalty_needs_no_grid() -> None:
    """Penalties on the way to it are the solver's own affair, and where it ends does not depend on them."""
    points = clouds(300, 20, 7)
    (alone,) = penalty_path(*points, [1e-6], gap=1e-9)
    *_, last = penalty_path(*points, np.geomspace(1e-6, 1e5, 23).tolist(), gap=1e-9)
    assert alone.certified
    assert alone.value == pytest.approx(last.value, rel=2e-9)


def test_stepping_stones_lead_from_strong_to_weak() -> None:
    assert stepping_stones([1.0, 100.0], 2.0) == pytest.approx([100, 10, 1])
    assert stepping_stones([5.0, 4.0], 450.0) == pytest.approx([450, 450 / 90**0.5, 5, 4])


def test_products_in_bf16_end_at_the_same_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    points = clouds(300, 20, 7)
    monkeypatch.setattr(module, "has_bf16_products", lambda device: True)
    fits = list(penalty_path(*points, [100.0, 1.0, 0.01]))
    assert all(fit.certified for fit in fits)
    for fit in fits:
        assert fit.value == pytest.approx(peer(points, fit.penalty)[0], rel=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_certifies_the_same_objective() -> None:
    points = clouds(300, 20, 7)
    for here, there in zip(
        penalty_path(*points, [100.0, 0.01]),
        penalty_path(*points, [100.0, 0.01], device=torch.device("cuda")),
        strict=True,
    ):
        assert there.certified
        assert there.value == pytest.approx(here.value, rel=1e-6)


def test_what_is_not_solved_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 1)
    points = clouds(300, 20, 7)
    (fit,) = penalty_path(*points, [1e-3])
    assert not fit.certified
    assert fit.gap > 1e-6
    assert fit.value - peer(points, 1e-3)[0] <= fit.gap * fit.value


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    features, labels = clouds(20, 5, 2)
    features[3, 1] = value
    with pytest.raises(UMTError, match="row 3 holds a value that is not finite"):
        next(penalty_path(features, labels, [1.0]))


@pytest.mark.parametrize("penalty", [0.0, -1.0, np.inf, np.nan])
def test_penalties_are_positive(penalty: float) -> None:
    with pytest.raises(UMTError, match="must be positive and finite"):
        next(penalty_path(*clouds(20, 5, 2), [penalty]))


def test_a_label_for_each_row() -> None:
    with pytest.raises(UMTError, match="20 rows of features and 19 labels"):
        next(penalty_path(clouds(20, 5, 2)[0], np.zeros(19, dtype=int), [1.0]))
