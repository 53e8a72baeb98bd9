"""Inexact Newton steps for a linear probe: conjugate gradients, preconditioned along the principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from umt.probes.objective import Point, spans

Pair = tuple[Tensor, Tensor]  # for the weights [R, C] and for the bias [C]

FORCING = 0.05  # a step is solved to this share of the gradient, which makes the next gradient as much smaller
MARGIN = 0.25  # and no further than this share of the residual that the gap allows
MAX_PRODUCTS = 100  # Hessian products a step; more mean that their precision is used up


@dataclass(frozen=True)
class Curvature:
    """The Hessian at a point, [R, C] and [C]: exact products in the precision of `rows` [N, R].

    With D = P * S - P * rowsum(P * S) for S = rows V + u: H(V, u) = (rows' D + penalty V, colsum D). S is taken
    relative to the true class, whose own D makes the sum 0: an image that is classified almost surely keeps its digits,
    also in float32.
    """

    rows: Tensor
    other_probabilities: Tensor  # probabilities [N, C], 0 for the true class
    targets: Tensor  # [N, 1]
    penalty: float

    @classmethod
    def at(cls, point: Point, rows: Tensor, targets: Tensor) -> Curvature:
        """Return the curvature at a point; vectors are in float32, or float64 with the rows."""
        dtype, true_class = torch.promote_types(rows.dtype, torch.float32), targets[:, None]
        return cls(rows, point.errors.to(dtype, copy=True).scatter_(1, true_class, 0), true_class, point.penalty)

    def times(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        dtype = self.rows.dtype
        factors, pulled = weights.to(dtype), self.penalty * weights
        pulled_bias = torch.zeros_like(bias)
        for span in spans(self.other_probabilities):
            rows, chances, targets = self.rows[span], self.other_probabilities[span], self.targets[span]
            moved = torch.mm(rows, factors).to(weights.dtype).add_(bias)
            moved.sub_(moved.gather(1, targets)).mul_(chances)
            moved.addcmul_(chances, moved.sum(dim=1, keepdim=True), value=-1)
            moved.scatter_(1, targets, -moved.sum(dim=1, keepdim=True))
            pulled += torch.mm(rows.T, moved.to(dtype))
            pulled_bias += moved.sum(dim=0)
        return pulled, pulled_bias

    def diagonal(self, energies: Tensor) -> tuple[Tensor, Tensor]:
        """Return its diagonal as if images and axes were independent; energies [R] are the axes' sums of squares."""
        variances = torch.zeros_like(self.other_probabilities[0])
        for span in spans(self.other_probabilities):
            chances, targets = self.other_probabilities[span], self.targets[span]
            missed = chances.sum(dim=1, keepdim=True)  # 1 minus the probability of the true class
            variances += (chances * (1 - chances)).scatter_(1, targets, missed * (1 - missed)).sum(dim=0)
        tiny = torch.finfo(variances.dtype).tiny
        images = len(self.other_probabilities)
        return torch.outer(energies, variances / images) + self.penalty, variances.clamp_min(tiny)


def newton_step(
    point: Point, rows: Tensor, targets: Tensor, energies: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Return the float64 change of weights and bias that brings the gap to `tolerance` if the model holds that far.

    rows: the objective's rows in the precision of the products.
    """
    curvature = Curvature.at(point, rows, targets)
    dtype = curvature.other_probabilities.dtype
    allowed = (2 * point.penalty * MARGIN * tolerance * point.value) ** 0.5  # by the bound of strong convexity
    enough = max(allowed, FORCING * point.gradient.norm().item())
    residual = (-point.gradient.to(dtype), -point.bias_gradient.to(dtype))
    diagonal = curvature.diagonal(energies.to(dtype))
    weights, bias = conjugate_gradients(curvature, residual, diagonal, enough)
    return weights.double(), bias.double()


def conjugate_gradients(curvature: Curvature, residual: Pair, diagonal: Pair, enough: float) -> Pair:
    """Solve curvature x = residual, starting at zero, until the weights' residual has a norm of at most `enough`.

    Hestenes and Stiefel 1952. The bias has no such condition: every evaluation balances it anew.
    """
    solution = (torch.zeros_like(residual[0]), torch.zeros_like(residual[1]))
    scaled = _divide(residual, diagonal)
    direction, strength = scaled, _dot(residual, scaled)
    for _ in range(MAX_PRODUCTS):
        product = curvature.times(*direction)
        length = strength / _dot(direction, product)
        if not torch.isfinite(length) or length <= 0:  # the precision of the products is used up
            break
        solution = _plus(solution, direction, length)
        residual = _plus(residual, product, -length)
        if residual[0].norm().item() <= enough:
            break
        scaled = _divide(residual, diagonal)
        before, strength = strength, _dot(residual, scaled)
        direction = _plus(scaled, direction, strength / before)
    return solution


def _dot(first: Pair, second: Pair) -> Tensor:
    return (first[0] * second[0]).sum() + (first[1] * second[1]).sum()


def _plus(first: Pair, second: Pair, factor: Tensor) -> Pair:
    return torch.addcmul(first[0], second[0], factor), torch.addcmul(first[1], second[1], factor)


def _divide(first: Pair, second: Pair) -> Pair:
    return first[0] / second[0], first[1] / second[1]
