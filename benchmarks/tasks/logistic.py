"""L2-regularised logistic regression along a path of penalties."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True)
class Fit:
    """Weights for one penalty; `converged` is whether the solver met its tolerance."""

    penalty: float
    model: LogisticRegression  # of features @ basis
    basis: np.ndarray  # [D, R], orthonormal columns
    converged: bool

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Class index [N] of features [N, D]."""
        predicted: np.ndarray = self.model.predict(features @ self.basis)
        return predicted


def penalty_path(
    features: np.ndarray, labels: np.ndarray, penalties: Sequence[float], *, tolerance: float, max_iterations: int
) -> Iterator[Fit]:
    """Minimise sum of cross-entropies + penalty / 2 * norm(weights)^2 for each penalty, from strong to weak.

    The bias is not penalised. Computed in float64 with scikit-learn's L-BFGS, each fit starting from the one before;
    `tolerance` bounds the largest component of the gradient of the objective divided by the number of images.
    """
    basis = _span(features.astype(np.float64))
    rotated = features @ basis
    model = LogisticRegression(warm_start=True, tol=tolerance, max_iter=max_iterations)
    for penalty in sorted(penalties, reverse=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # reported by `converged`
            model.set_params(C=1 / penalty).fit(rotated, labels)
        yield Fit(penalty, model, basis, bool(model.n_iter_.max() < max_iterations))


def _span(features: np.ndarray) -> np.ndarray:
    """Orthonormal basis [D, R] of the rows: the penalised optimum lies in their span, and R <= N may be far below D."""
    _, scales, directions = np.linalg.svd(features, full_matrices=False)
    return directions[scales > scales[0] * len(scales) * np.finfo(np.float64).eps].T
