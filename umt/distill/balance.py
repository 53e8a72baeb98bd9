"""Weights for the losses of several teachers: plain, by magnitude, or with some teachers left out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from umt.distill.recipe import AlignmentSpec
from umt.errors import DeclarationError, unknown_name

BALANCES = ("none", "magnitude")
MOMENTUM = 0.99  # decay of the running mean of a teacher's loss


class Balance(nn.Module):
    """Weights of the teachers' losses in a step, [M].

    magnitude: the inverse of each loss's running mean, scaled to a mean of 1. teacher_drop: each teacher but the one
    with the largest loss is left out with this probability (UNIC, Sariyildiz et al. 2024, there for each image).
    """

    running: Tensor

    def __init__(self, spec: AlignmentSpec, teachers: int) -> None:
        super().__init__()
        if spec.balance not in BALANCES:
            raise unknown_name("alignment.balance", spec.balance, BALANCES)
        if not 0 <= spec.teacher_drop < 1:
            raise DeclarationError(f"recipe: alignment.teacher_drop {spec.teacher_drop}; take a probability below 1")
        self.spec = spec
        self.register_buffer("running", torch.zeros(teachers))

    @torch.no_grad()
    def forward(self, losses: Tensor) -> Tensor:
        """Return the weights of this step's losses [M]."""
        weights = torch.ones_like(losses)
        if self.spec.balance == "magnitude":
            mean = torch.where(self.running > 0, self.running, losses)
            self.running.copy_(MOMENTUM * mean + (1 - MOMENTUM) * losses)
            weights = 1 / self.running.clamp(min=1e-12)
            weights = weights / weights.mean()
        if self.spec.teacher_drop:
            kept = torch.rand(len(losses)).to(losses.device) >= self.spec.teacher_drop
            kept[losses.argmax()] = True
            weights = weights * kept
        return weights
