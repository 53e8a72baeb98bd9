"""The minimised sum of the teachers' losses: weights by schedule, balance, and teachers that are left out."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from umt.distill.recipe import AlignmentSpec, Schedule
from umt.errors import DeclarationError, unknown_name

BALANCES = ("none", "magnitude", "gradient", "uncertainty")
MOMENTUM = 0.99  # decay of the running mean of a teacher's loss, or of the norm of its gradient
GRADIENT_STEPS = 20  # training steps from one measurement of the gradients' norms to the next


class Balance(nn.Module):
    """Sum of M losses.

    magnitude: each loss over its running mean. gradient: each over the running norm of its gradient at the student's
    last map (the aim of GradNorm, Chen et al. 2018, without its rates). Both have weights of mean 1. uncertainty:
    exp(-s) L + s with a learned s for each teacher (Kendall et al. 2018, equation 7 up to a factor of two).
    teacher_drop: for each image, every teacher but the one with the largest loss is left out with this probability
    (UNIC, Sariyildiz et al. 2024).
    """

    running: Tensor

    def __init__(self, spec: AlignmentSpec, teachers: int) -> None:
        super().__init__()
        if spec.balance not in BALANCES:
            raise unknown_name("alignment.balance", spec.balance, BALANCES)
        if not 0 <= spec.teacher_drop < 1:
            raise DeclarationError(f"recipe: alignment.teacher_drop is {spec.teacher_drop}; take a probability below 1")
        self.balance, self.drop = spec.balance, spec.teacher_drop
        self.register_buffer("running", torch.zeros(teachers))
        self.log_variances = nn.Parameter(torch.zeros(teachers)) if spec.balance == "uncertainty" else None
        self.step = 0  # of the training

    def forward(self, losses: Tensor, weights: Tensor, shared: Tensor) -> Tensor:
        """Return the minimised sum.

        losses: [M], or [M, B] for each image, which `teacher_drop` needs. weights: [M], the schedules' values. shared:
        the student's last map, where the gradients of all losses meet.
        """
        means = losses if losses.ndim == 1 else losses.mean(dim=1)
        factors = weights * self._factors(means, shared)
        if losses.ndim == 2:
            means = (losses * self._mask(losses.detach())).mean(dim=1)
        total = (factors * means).sum()
        return total if self.log_variances is None else total + self.log_variances.sum()

    def _factors(self, losses: Tensor, shared: Tensor) -> Tensor:
        if self.log_variances is not None:
            return (-self.log_variances).exp()
        if self.balance == "magnitude":
            self._follow(losses.detach())
        elif self.balance == "gradient" and shared.requires_grad and self.step % GRADIENT_STEPS == 0:
            self._follow(gradient_norms(losses, shared))
        if self.balance == "none":
            return torch.ones_like(losses)
        factors = 1 / self.running.clamp(min=1e-12)
        return factors / factors.mean()

    @torch.no_grad()
    def _follow(self, values: Tensor) -> None:
        mean = torch.where(self.running > 0, self.running, values)
        self.running.copy_(MOMENTUM * mean + (1 - MOMENTUM) * values)

    def _mask(self, losses: Tensor) -> Tensor:
        """Draw which teachers count for each image, [M, B] of zeros and ones."""
        mask = torch.rand(losses.shape).to(losses.device) >= self.drop
        return mask.scatter(0, losses.argmax(dim=0, keepdim=True), True).to(losses.dtype)


def gradient_norms(losses: Tensor, shared: Tensor) -> Tensor:
    """Return the norm of each loss's gradient at `shared`; the graph stays for the backward pass."""
    gradients = [torch.autograd.grad(loss, shared, retain_graph=True)[0] for loss in losses]
    return torch.stack([gradient.float().norm() for gradient in gradients])


def value_at(schedule: Schedule, share: float) -> float:
    """Return a schedule's value after a share of the training, from 0 to 1: linear between its points."""
    if isinstance(schedule, float):
        return schedule
    shares, values = zip(*schedule, strict=True)
    return float(np.interp(share, shares, values))


def check_schedule(field: str, schedule: Schedule) -> None:
    """Refuse a schedule whose shares do not rise from 0 to at most 1, or with a weight below zero."""
    points = ((0.0, schedule),) if isinstance(schedule, float) else schedule
    shares, values = [share for share, _ in points], [value for _, value in points]
    rising = all(before < after for before, after in pairwise(shares))
    if not points or shares[0] < 0 or shares[-1] > 1 or not rising:
        raise DeclarationError(
            f"{field} is {list(schedule) if points else schedule}; "  # type: ignore[arg-type]
            "take a number, or [share of training, value] pairs with shares that rise from 0 to 1"
        )
    if any(value < 0 or not math.isfinite(value) for value in values):
        raise DeclarationError(f"{field} holds {min(values)}; take weights of 0 or more")
