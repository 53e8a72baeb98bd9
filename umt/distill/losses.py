"""Distances between a space of the student and its teacher (paper section A.3), in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class FeatureLoss:
    """A distance of features, `pooled`: compared as [B, C], pooled over space, else as [B, C, H, W] cell by cell."""

    pooled: bool
    distance: Callable[[Tensor, Tensor], Tensor]


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute 1 - cos over dimension 1, mean over the rest; inputs are [B, C] or [B, C, H, W]."""
    return (1 - F.cosine_similarity(student.float(), teacher.float(), dim=1)).mean()


def mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the mean of the squared differences over all elements."""
    return F.mse_loss(student.float(), teacher.float())


FEATURE_LOSSES = {
    "pooled_cosine": FeatureLoss(pooled=True, distance=cosine),
    "patch_mse": FeatureLoss(pooled=False, distance=mse),
    "patch_cosine": FeatureLoss(pooled=False, distance=cosine),
}
