"""Many linear heads trained by SGD at once, as DINOv2 does: a head for every learning rate and choice of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

FIRST_DEVIATION = 0.01  # deviation of the first weights


class Heads(nn.Module):
    """Linear classifiers of the same features [N, D], a head for each of H learning rates; their biases begin at 0.

    All take part in one matrix product forward and one backward. Parameters are kept divided by their learning rate,
    [D, H * C], and have the gradients of the undivided ones: an optimiser of rate 1 trains each head at its own rate.
    """

    def __init__(self, width: int, classes: int, rates: Sequence[float], generator: torch.Generator) -> None:
        super().__init__()
        device = generator.device
        self.classes = classes
        self.rates: Tensor
        self.register_buffer("rates", torch.tensor(rates, device=device)[:, None])
        first = FIRST_DEVIATION * torch.randn(width, len(rates), classes, generator=generator, device=device)
        self.weights = nn.Parameter((first / self.rates).flatten(1))
        self.bias = nn.Parameter(torch.zeros(len(rates) * classes, device=device))

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy [H] of each head on features [B, D] and classes [B]."""
        losses: Tensor = _CrossEntropies.apply(features, targets, self.weights, self.bias, self.rates)
        return losses

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """Return logits [B, H, C] of features [B, D]."""
        return _logits(features, self.weights, self.bias, self.rates)

    @torch.no_grad()
    def linear(self, head: int) -> tuple[Tensor, Tensor]:
        """Return weights [D, C] and biases [C] of one head, with its learning rate multiplied in."""
        rate = self.rates[head, 0]
        weights = self.weights.view(len(self.weights), len(self.rates), self.classes)[:, head]
        return weights * rate, self.bias.view(len(self.rates), -1)[head] * rate

    def predict(self, features: Tensor) -> Tensor:
        """Return the class [N, H] of features [N, D] by each head."""
        return self.scores(features).argmax(dim=2)


class _CrossEntropies(Function):
    """The losses of heads, with the gradient in closed form: no array of all logits but one."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, targets: Tensor, weights: Tensor, bias: Tensor, rates: Tensor) -> Tensor:
        shares = _logits(features, weights, bias, rates).log_softmax(dim=2)
        rows = torch.arange(len(targets), device=targets.device)
        losses = -shares[rows, :, targets].mean(dim=0)
        errors = shares.exp_()
        errors[rows, :, targets] -= 1
        ctx.save_for_backward(features, errors)
        return losses

    @staticmethod
    @once_differentiable  # type: ignore[misc, untyped-decorator, unused-ignore]
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, Tensor, Tensor, None]:
        features, errors = ctx.saved_tensors
        flat = (errors * (gradient[:, None] / len(features))).flatten(1)
        return None, None, features.T @ flat, flat.sum(dim=0), None


def _logits(features: Tensor, weights: Tensor, bias: Tensor, rates: Tensor) -> Tensor:
    return torch.addmm(bias, features, weights).view(len(features), len(rates), -1).mul_(rates)
