"""Losses between a space and its target, in float32: [B, C, ...] twice -> [B, ...], whose mean is minimised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umt.errors import unknown_name

Distance = Callable[[Tensor, Tensor], Tensor]  # of the student's output from the teacher's
COSINE_SHARE = 0.9  # of the mix with smooth L1 (AM-RADIO, Ranzinger et al. 2024, equation 3; EUPE takes it over)


@dataclass(frozen=True)
class FeatureLoss:
    """A distance of features, `pooled`: compared as [B, C], pooled over space, else as [B, C, H, W] cell by cell."""

    pooled: bool
    distance: Distance


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute 1 - cos over dimension 1: [B, C] -> [B], [B, C, H, W] -> [B, H, W]."""
    return 1 - F.cosine_similarity(student.float(), teacher.float(), dim=1)


def mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the squared difference of every element."""
    return F.mse_loss(student.float(), teacher.float(), reduction="none")


def smooth_l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the smooth L1 difference of every element: half the square up to 1, linear beyond."""
    return F.smooth_l1_loss(student.float(), teacher.float(), reduction="none")


def cosine_l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mix cosine (0.9) and smooth L1 (0.1), the mean over dimension 1, as AM-RADIO and EUPE do."""
    return COSINE_SHARE * cosine(student, teacher) + (1 - COSINE_SHARE) * smooth_l1(student, teacher).mean(dim=1)


def squared_angle(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the squared angle between vectors, in radians: [B, C] -> [B]; its gradient is finite at every angle."""
    ours, theirs = F.normalize(student.float(), dim=1), F.normalize(teacher.float(), dim=1)
    return (2 * torch.atan2((ours - theirs).norm(dim=1), (ours + theirs).norm(dim=1))).square()


def relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Compare the distances between the images of a batch, one-sidedly: [B, C] and [B, D] -> [B].

    Distances are over their mean. A pair that is nearer than the teacher's median may not be farther apart than there,
    and a farther one not nearer; all else costs nothing. Our reading of the asymmetric relational loss of SigLino
    (Chaybouti et al. 2025).
    """
    if len(student) < 2:
        return student.float().sum(dim=1) * 0
    ours, theirs = _relations(student.float()), _relations(teacher.float())
    near = theirs <= theirs[~torch.eye(len(theirs), dtype=torch.bool, device=theirs.device)].median()
    excess = torch.where(near, ours - theirs, theirs - ours).clamp(min=0)
    return excess.square().sum(dim=1) / (len(student) - 1)


def _relations(values: Tensor) -> Tensor:
    """Return the distances between rows [B, B] over their mean; the diagonal is zero."""
    # not by a matrix product, which autocast would take in half precision
    distances = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist")
    return distances * (len(values) * (len(values) - 1) / distances.sum())


FEATURE_LOSSES: Mapping[str, FeatureLoss] = {
    "pooled_cosine": FeatureLoss(pooled=True, distance=cosine),
    "pooled_cosine_l1": FeatureLoss(pooled=True, distance=cosine_l1),
    "patch_mse": FeatureLoss(pooled=False, distance=mse),
    "patch_cosine": FeatureLoss(pooled=False, distance=cosine),
    "patch_smooth_l1": FeatureLoss(pooled=False, distance=smooth_l1),
    "patch_cosine_l1": FeatureLoss(pooled=False, distance=cosine_l1),
}
ANGULAR = "angular"  # the only summary loss with statistics of its own, see `Dispersions`
SUMMARY_LOSSES: Mapping[str, Distance] = {
    "mse": mse,
    "smooth_l1": smooth_l1,
    "cosine": cosine,
    "cosine_l1": cosine_l1,
    ANGULAR: squared_angle,
}


def feature_loss(name: str) -> str:
    """Return the name itself; UMTError if there is no such loss."""
    if name not in FEATURE_LOSSES:
        raise unknown_name("feature loss", name, FEATURE_LOSSES)
    return name


def summary_loss(name: str) -> Distance:
    """Return the summary loss of that name; UMTError lists the known ones."""
    if name not in SUMMARY_LOSSES:
        raise unknown_name("summary loss", name, SUMMARY_LOSSES)
    return SUMMARY_LOSSES[name]


class Dispersions(nn.Module):
    """Angular dispersion of each teacher's summaries: the mean squared angle to their mean direction, in radians².

    The squared angle over it costs every teacher alike, be its cone of directions wide or narrow (C-RADIOv4, Ranzinger
    et al. 2026, section 2.5 and equation 7).
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        for name in names:
            self.register_buffer(name, torch.ones(()))

    def fit(self, name: str, summaries: Tensor) -> None:
        """Compute the dispersion of a teacher from its summaries [N, D]."""
        directions = F.normalize(summaries.double(), dim=1)
        mean = directions.mean(dim=0, keepdim=True).expand_as(directions)
        self.get_buffer(name).copy_(squared_angle(directions, mean).mean())

    def forward(self, name: str, losses: Tensor) -> Tensor:
        """Divide squared angles by the dispersion of their teacher; losses of other teachers stay."""
        return losses / self.get_buffer(name) if hasattr(self, name) else losses
