"""Features in their principal axes, in which the curvature is nearly diagonal, for every penalty and every class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rotation:
    """A centred orthonormal basis, float64: mean [D] and axes [D, R], with R the lesser of N and D.

    An L2-penalised optimum with a free bias lies in the span of the centred rows, and its penalty does not change under
    rotation: nothing is lost or approximated.
    """

    mean: Tensor
    axes: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Rotation:
        """Return the principal axes of features [N, D] float64, the largest variance first."""
        mean = features.mean(dim=0)
        centred = features - mean
        span = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
        if len(features) < features.shape[1]:
            span = torch.linalg.qr(centred.T).Q
            centred = centred @ span
        _, vectors = torch.linalg.eigh(centred.T @ centred)  # ascending
        return cls(mean, span @ vectors.flip(1))

    def apply(self, features: Tensor) -> Tensor:
        """Return coordinates [N, R] of features [N, D]."""
        return (features - self.mean) @ self.axes

    def outward(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights [R, C] and bias [C] of coordinates as those of features."""
        outer = self.axes @ weights
        return outer, bias - self.mean @ outer
