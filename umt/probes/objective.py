"""The objective of a linear probe, its value and its gradient, in float64."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

BLOCK_VALUES = 1 << 19  # 4 MB of float64


@dataclass(frozen=True)
class Point:
    """Weights [R, C] and bias [C] under a penalty: the sum of losses, its gradients, and the errors [N, C].

    Its errors and logits are overwritten by other points once it is gone.
    """

    weights: Tensor
    bias: Tensor
    penalty: float
    loss: float
    slope: Tensor  # gradient of the losses by the weights [R, C], without the penalty's part
    bias_gradient: Tensor  # [C]
    errors: Tensor  # [N, C], probabilities minus targets
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
    spares: list[Tensor] = field(default_factory=list)  # [N, C] of points that are gone: fresh memory costs a sixth

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
        return self._at(weights, bias, penalty, torch.mm(self.rows, weights, out=self._spare()))

    def between(self, points: Sequence[Point], shares: Sequence[float], penalty: float) -> Point:
        """Combine points with these shares; logits are linear in the weights, so it costs one product."""

        def blend(part: str, out: Tensor | None = None) -> Tensor:
            blended = torch.mul(getattr(points[0], part), shares[0], out=out)
            for point, share in zip(points[1:], shares[1:], strict=True):
                blended.add_(getattr(point, part), alpha=share)
            return blended

        return self._at(blend("weights"), blend("bias"), penalty, blend("logits", self._spare()))

    def _at(self, weights: Tensor, bias: Tensor, penalty: float, logits: Tensor) -> Point:
        bias = self._balanced(logits, bias)
        errors, losses = self._spare(), logits.new_empty(len(logits))
        slope = torch.zeros_like(self.class_sums)
        for span in spans(logits):
            losses[span] = cross_entropy(logits[span], bias, self.targets[span], errors[span])
            slope.addmm_(self.rows[span].T, errors[span])
        point = Point(weights, bias, penalty, losses.sum().item(), slope, errors.sum(dim=0), errors, logits)
        weakref.finalize(point, self.spares.extend, (errors, logits))
        return point

    def _spare(self) -> Tensor:
        return self.spares.pop() if self.spares else self.rows.new_empty(len(self.rows), len(self.counts))

    def _balanced(self, logits: Tensor, bias: Tensor) -> Tensor:
        """Return the bias after one Newton step on it alone, no longer than 1 in any class.

        Near the optimum this leaves the gap to the weights, and conjugate gradients need a fifth of the products. With
        targets Y and errors E the curvature is diag(sum E) - Y'E - E'Y - E'E: nothing cancels if E is small, so that
        float32 is enough for the product.
        """
        by_class = logits.new_zeros((len(bias), len(bias)))
        squares = torch.zeros_like(by_class, dtype=torch.float32)
        for span in spans(logits):
            errors = torch.empty_like(logits[span])
            cross_entropy(logits[span], bias, self.targets[span], errors)
            by_class.index_add_(0, self.targets[span], errors)
            rounded = errors.float()
            squares.addmm_(rounded.T, rounded)
        residual = by_class.sum(dim=0)
        curvature = torch.diag(residual) - by_class - by_class.T - squares
        curvature += curvature.diagonal().mean()  # along the shift of all classes, which changes nothing
        step, _ = torch.linalg.solve_ex(curvature, residual)
        return bias - step / step.abs().max().clamp_min(1) if step.isfinite().all() else bias


def spans(rows: Tensor) -> Iterator[slice]:
    """Yield the rows [N, C] in blocks that stay in the cache of a CPU while they are worked on; one block on a GPU."""
    block = max(1, BLOCK_VALUES // rows.shape[1]) if rows.device.type == "cpu" else len(rows)
    return (slice(first, first + block) for first in range(0, len(rows), block))


def cross_entropy(logits: Tensor, bias: Tensor, targets: Tensor, errors: Tensor) -> Tensor:
    """Return losses [N] of logits [N, C] and a bias [C]; write probabilities minus targets into `errors` [N, C].

    Everything is relative to the true class's logit, so that the loss and the errors of an image that is classified
    almost surely keep all their digits: neither is ever a difference of two numbers close to 1.
    """
    true_class = targets[:, None]
    torch.add(logits, bias, out=errors)
    own_logits = errors.gather(1, true_class)
    errors.scatter_(1, true_class, -math.inf)
    highest = torch.maximum(errors.amax(dim=1, keepdim=True), own_logits)
    mass = errors.sub_(highest).exp_().sum(dim=1, keepdim=True)
    lead = highest - own_logits
    total = mass + (-lead).exp()
    errors.div_(total).scatter_(1, true_class, -mass / total)
    return (lead + torch.log1p(mass + torch.expm1(-lead))).squeeze(1)
