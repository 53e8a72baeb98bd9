"""Logistic regression against the conditions of its optimum, and against another solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from benchmarks.tasks.logistic import penalty_path


@pytest.fixture(scope="module")
def points() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    return (rng.normal(size=(4, 10))[labels] + rng.normal(size=(120, 10))).astype(np.float32), labels


@dataclass(frozen=True)
class Found:
    weights: np.ndarray  # of the features as they were given
    bias: np.ndarray
    converged: bool


def path(points: tuple[np.ndarray, np.ndarray], penalties: list[float], steps: int = 2000) -> dict[float, Found]:
    return {
        fit.penalty: Found(fit.model.coef_ @ fit.basis.T, fit.model.intercept_.copy(), fit.converged)
        for fit in penalty_path(*points, penalties, tolerance=1e-9, max_iterations=steps)
    }


@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_gradient_vanishes(points: tuple[np.ndarray, np.ndarray], penalty: float) -> None:
    """X'(P - Y) + penalty W = 0, and the bias is not penalised."""
    features, labels = points[0].astype(np.float64), points[1]
    found = path(points, [0.1, 10.0])[penalty]
    scores = features @ found.weights.T + found.bias
    errors = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) - np.eye(4)[labels]
    np.testing.assert_allclose(errors.T @ features + penalty * found.weights, 0, atol=1e-4)
    np.testing.assert_allclose(errors.sum(axis=0), 0, atol=1e-4)


def test_objective_equals_torchs(points: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = torch.from_numpy(points[0]).double(), torch.from_numpy(points[1])

    def objective(weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(features @ weights.T + bias, labels, reduction="sum")
        return loss + 0.5 * weights.square().sum()

    free = [torch.zeros(4, 10).double().requires_grad_(), torch.zeros(4).double().requires_grad_()]
    solver = torch.optim.LBFGS(free, max_iter=2000, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = objective(*free)
        loss.backward()
        return loss

    solver.step(closure)
    ours = path(points, [1.0])[1.0]
    found = objective(torch.from_numpy(ours.weights), torch.from_numpy(ours.bias))
    assert found.item() == pytest.approx(objective(*free).item(), rel=1e-9)


def test_path_goes_from_strong_to_weak_and_reports_convergence(points: tuple[np.ndarray, np.ndarray]) -> None:
    found = path(points, [0.1, 100.0, 1.0])
    assert list(found) == [100.0, 1.0, 0.1]
    assert all(fit.converged for fit in found.values())
    assert not path(points, [1e-3], steps=3)[1e-3].converged


def test_more_features_than_images_give_the_same_predictions() -> None:
    """The rotation into the span of the images loses nothing: the same as fitting on all features."""
    rng = np.random.default_rng(1)
    labels = np.arange(40) % 3
    features = rng.normal(size=(3, 200))[labels] + 3 * rng.normal(size=(40, 200))
    (fit,) = penalty_path(features, labels, [0.5], tolerance=1e-8, max_iterations=5000)
    direct = LogisticRegression(C=2.0, tol=1e-8, max_iter=5000).fit(features, labels)
    assert fit.basis.shape == (200, 40)
    np.testing.assert_allclose(fit.model.coef_ @ fit.basis.T, direct.coef_, atol=1e-5)
    unseen = rng.normal(size=(100, 200))
    np.testing.assert_array_equal(fit.predict(unseen), direct.predict(unseen))
