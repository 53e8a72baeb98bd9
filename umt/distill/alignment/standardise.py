"""Standardised teachers: every dimension of a target has mean 0 and the same variance, so that no teacher dominates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, Targets
from umt.errors import unknown_name

METHODS = ("none", "mean_std", "phi_s")
EPSILON = 1e-6  # share of the largest variance; below it a dimension counts as constant


class Standardiser(nn.Module):
    """Map x -> W (x - mean) along dimension 1, and back.

    mean_std: W is diagonal, each dimension over its own deviation. phi_s: W is a rotation over one number, the root of
    the mean variance; after it every dimension has variance 1 and distances keep their proportions (PHI-S, Ranzinger et
    al. 2024). That paper's rotation is PCA and a Hadamard matrix, which exists for some widths only; ours is PCA and
    Givens rotations, which give equal variances at any width.
    """

    mean: Tensor
    weight: Tensor
    inverse: Tensor

    def __init__(self, method: str, width: int) -> None:
        super().__init__()
        if method not in METHODS:
            raise unknown_name("alignment.standardise", method, METHODS)
        self.method = method
        for name in ("weight", "inverse"):
            self.register_buffer(name, torch.eye(width) if method == "phi_s" else torch.ones(width))
        self.register_buffer("mean", torch.zeros(width))

    def fit(self, mean: Tensor, covariance: Tensor) -> None:
        """Compute mean and W from float64 moments [D] and [D, D]; none stays the identity."""
        if self.method == "none":
            return
        if self.method == "mean_std":
            variance = covariance.diagonal()
            deviation = variance.clamp(min=EPSILON * variance.max().item()).sqrt()
            weight, inverse = 1 / deviation, deviation
        else:
            rotation, scale = equalising_rotation(covariance), covariance.diagonal().mean().sqrt()
            weight, inverse = rotation / scale, rotation.T * scale
        for buffer, value in ((self.mean, mean), (self.weight, weight), (self.inverse, inverse)):
            buffer.copy_(value)

    def forward(self, values: Tensor) -> Tensor:
        """Standardise [B, D] or [B, D, H, W]."""
        centred = values.float() - _along_channels(self.mean, values)
        return _apply(self.weight, centred)

    def undo(self, values: Tensor) -> Tensor:
        """Map values back into the teacher's own units."""
        return _apply(self.inverse, values.float()) + _along_channels(self.mean, values)


class Standardisers(nn.Module):
    """A standardiser for the summary and one for the features of every space."""

    @classmethod
    def of(cls, method: str, summary_method: str | None, shapes: Iterable[SpaceShape]) -> Standardisers | None:
        """Build them for a method, and another one of summaries; None if nothing is standardised."""
        unchanged = method == "none" and (summary_method or method) == "none"
        return None if unchanged else cls(method, shapes, summary_method)

    def __init__(self, method: str, shapes: Iterable[SpaceShape], summary_method: str | None = None) -> None:
        super().__init__()
        shapes = tuple(shapes)
        of_summaries = summary_method or method
        self.summary = nn.ModuleDict({shape.name: Standardiser(of_summaries, shape.summary) for shape in shapes})
        self.features = nn.ModuleDict({shape.name: Standardiser(method, shape.features) for shape in shapes})

    def fit(self, batches: Iterable[dict[str, Targets]]) -> None:
        """Take mean and covariance from batches of targets."""
        moments: dict[tuple[str, str], TargetMoments] = {}
        for batch in batches:
            for name, targets in batch.items():
                for part in ("summary", "features"):
                    moments.setdefault((part, name), TargetMoments()).add(getattr(targets, part))
        for (part, name), target_moments in moments.items():
            self._standardiser(part, name).fit(*target_moments.result())

    def forward(self, name: str, targets: Targets) -> Targets:
        return Targets(self.summary[name](targets.summary), self.features[name](targets.features))

    def undo(self, name: str, space: SpaceFeatures, summary_of: str | None = None) -> SpaceFeatures:
        """Return a space of the student in its teacher's own units; its summary may be that of another space."""
        features = self._standardiser("features", name)
        summary = (
            None if space.summary is None else self._standardiser("summary", summary_of or name).undo(space.summary)
        )
        return SpaceFeatures(
            summary, features.undo(space.fmap), None if space.cls is None else features.undo(space.cls)
        )

    def keep_only(self, *names: str) -> None:
        """Drop the standardisers of all other spaces."""
        self.summary = nn.ModuleDict({name: self.summary[name] for name in self.summary if name in names})
        self.features = nn.ModuleDict({name: self.features[name] for name in self.features if name in names})

    def _standardiser(self, part: str, name: str) -> Standardiser:
        standardiser = self.get_submodule(f"{part}.{name}")
        assert isinstance(standardiser, Standardiser)
        return standardiser


class TargetMoments:
    """Mean and covariance of vectors along dimension 1, in float64, shifted by the first batch's mean."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Add values [B, D] or [B, D, H, W]; every cell is a sample."""
        rows = values.detach().double().movedim(1, -1).flatten(0, -2)
        if self.count == 0:
            self.shift = rows.mean(dim=0)
            self.sum, self.products = torch.zeros_like(self.shift), self.shift.new_zeros(2 * self.shift.shape)
        rows = rows - self.shift
        self.count += len(rows)
        self.sum += rows.sum(dim=0)
        self.products += rows.T @ rows

    def result(self) -> tuple[Tensor, Tensor]:
        """Return mean [D] and biased covariance [D, D]."""
        offset = self.sum / self.count
        return self.shift + offset, self.products / self.count - torch.outer(offset, offset)


def equalising_rotation(covariance: Tensor) -> Tensor:
    """Return an orthogonal R [D, D] for which R C R' has equal diagonal entries; deterministic.

    In the basis of the eigenvectors a plane rotation gives one of two dimensions the mean variance exactly, and leaves
    the other uncorrelated with the rest: D - 1 of them do (constructive proof of the Schur-Horn theorem).
    """
    values, vectors = np.linalg.eigh(covariance.cpu().numpy())
    vectors = vectors * np.where(np.abs(vectors).max(axis=0) == vectors.max(axis=0), 1.0, -1.0)
    rotation, variance, mean = vectors.T.copy(), values.copy(), values.mean()
    open_ = list(np.argsort(variance))
    while len(open_) > 1:
        low, high = open_[0], open_[-1]
        difference = variance[high] - variance[low]
        if difference <= 0:
            break
        cos2 = (variance[high] - mean) / difference
        cos, sin = np.sqrt(max(cos2, 0.0)), np.sqrt(max(1 - cos2, 0.0))
        rows = rotation[[low, high]]
        rotation[low], rotation[high] = cos * rows[0] + sin * rows[1], cos * rows[1] - sin * rows[0]
        variance[high] += variance[low] - mean
        open_.remove(low)
        open_.sort(key=lambda index: variance[index])
    return torch.from_numpy(rotation).to(covariance)


def _along_channels(vector: Tensor, target: Tensor) -> Tensor:
    return vector.view(1, -1, *[1] * (target.ndim - 2))


def _apply(weight: Tensor, values: Tensor) -> Tensor:
    if weight.ndim == 1:
        return values * _along_channels(weight, values)
    return torch.einsum("od,bd...->bo...", weight, values)
