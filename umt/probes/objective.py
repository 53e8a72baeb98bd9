"""The objective of a linear probe, its value and its gradient, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Point:
    """Weights [R, C] and bias [C] under a penalty: the sum of losses, its gradients, and the probabilities [N, C]."""

    weights: Tensor
    bias: Tensor
    penalty: float
    loss: float
    slope: Tensor  # gradient of the losses by the weights [R, C], without the penalty's part
    bias_gradient: Tensor  # [C]
    probabilities: Tensor
    logits: Tensor  # [N, C], without the bias

    @property
    def value(self) -> float:
        return self.value_under(self.penalty)

    @property
    def gradient(self) -> Tensor:
        """The gradient of the objective by the weights [R, C]."""
        return self.slope + self.penalty * self.weights

    def value_under(self, penalty: float) -> float:
        """Return the objective at the same weights under another penalty."""
        return self.loss + penalty / 2 * self.weights.square().sum().item()


@dataclass(frozen=True)
class SoftmaxObjective:
    """The sum over images of the cross-entropy + penalty / 2 * norm(weights)^2; the bias is free of penalty.

    rows: centred features [N, R] float64. targets: classes [N], each of C occurring. counts: images of each class [C].
    class_sums: sum of each class's rows [R, C].
    """

    rows: Tensor
    targets: Tensor
    counts: Tensor
    class_sums: Tensor

    @classmethod
    def of(cls, rows: Tensor, targets: Tensor) -> SoftmaxObjective:
        counts = torch.bincount(targets).to(rows.dtype)
        sums = torch.zeros(len(counts), rows.shape[1], dtype=rows.dtype, device=rows.device)
        return cls(rows, targets, counts, sums.index_add_(0, targets, rows).T)

    def start(self, penalty: float) -> Point:
        """Return zero weights and the bias that is best for them: the optimum for an infinite penalty."""
        weights = torch.zeros_like(self.class_sums)
        return self.at(weights, (self.counts / self.counts.sum()).log(), penalty)

    def at(self, weights: Tensor, bias: Tensor, penalty: float) -> Point:
        """Return everything that is known about weights [R, C] and the best bias near `bias` [C]."""
        return self._at(weights, bias, penalty, self.rows @ weights)

    def between(self, points: Sequence[Point], shares: Sequence[float], penalty: float) -> Point:
        """Combine points with these shares; logits are linear in the weights, so it costs one product."""

        def blend(part: str) -> Tensor:
            first, *terms = (share * getattr(point, part) for share, point in zip(shares, points, strict=True))
            return sum(terms, start=first)

        return self._at(blend("weights"), blend("bias"), penalty, blend("logits"))

    def _at(self, weights: Tensor, bias: Tensor, penalty: float, logits: Tensor) -> Point:
        bias = self._balanced(logits, bias)
        losses, probabilities, errors = cross_entropy(logits + bias, self.targets)
        slope, bias_gradient = self.rows.T @ errors, errors.sum(dim=0)
        return Point(weights, bias, penalty, losses.sum().item(), slope, bias_gradient, probabilities, logits)

    def _balanced(self, logits: Tensor, bias: Tensor) -> Tensor:
        """Return the bias after one Newton step on it alone, no longer than 1 in any class.

        Near the optimum this leaves the gap to the weights, and conjugate gradients need a fifth of the products.
        """
        _, probabilities, errors = cross_entropy(logits + bias, self.targets)
        curvature = torch.diag(probabilities.sum(dim=0)) - probabilities.T @ probabilities
        curvature += curvature.diagonal().mean()  # along the shift of all classes, which changes nothing
        step, _ = torch.linalg.solve_ex(curvature, errors.sum(dim=0))
        return bias - step / step.abs().max().clamp_min(1) if step.isfinite().all() else bias


def cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return losses [N], probabilities [N, C] and probabilities minus targets [N, C] of logits [N, C].

    Everything is relative to the true class's logit, so that the loss and the errors of an image that is classified
    almost surely keep all their digits: neither is ever a difference of two numbers close to 1.
    """
    true_class = targets[:, None]
    margins = (logits - logits.gather(1, true_class)).scatter_(1, true_class, -math.inf)
    top = margins.amax(dim=1, keepdim=True).clamp_min_(0)
    exponentials = margins.sub_(top).exp_()
    mass = exponentials.sum(dim=1, keepdim=True)
    losses = top + torch.log1p(mass + torch.expm1(-top))
    own_mass = (-top).exp()
    total = mass + own_mass
    errors = exponentials.div_(total)
    probabilities = errors.scatter(1, true_class, own_mass / total)
    return losses.squeeze(1), probabilities, errors.scatter_(1, true_class, -mass / total)
