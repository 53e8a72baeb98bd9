"""Many linear heads trained by SGD at once, as DINOv2 does: a head for every learning rate and choice of features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTUM = 0.9
FIRST_DEVIATION = 0.01  # deviation of the first weights


class Heads:
    """Linear classifiers of the same features [N, D], a head for each of H learning rates; their biases begin at 0.

    All take part in one matrix product forward and one backward, with the gradient of the cross-entropy in closed form.
    Weights are kept divided by their learning rate, [D, H * C]: then all heads take the same step.
    """

    def __init__(self, width: int, classes: int, rates: Sequence[float], generator: torch.Generator) -> None:
        device = generator.device
        self.rates = torch.tensor(rates, device=device)
        self.classes = classes
        shape = (width, len(rates), classes)
        first = FIRST_DEVIATION * torch.randn(shape, generator=generator, device=device) / self.rates[:, None]
        self.weights = first.reshape(width, -1)
        self.bias = torch.zeros(len(rates) * classes, device=device)
        self.weight_speed, self.bias_speed = torch.zeros_like(self.weights), torch.zeros_like(self.bias)

    def scores(self, features: Tensor) -> Tensor:
        """Return logits [B, H, C] of features [B, D]."""
        logits = torch.addmm(self.bias, features, self.weights).view(len(features), -1, self.classes)
        return logits.mul_(self.rates[:, None])

    def step(self, features: Tensor, targets: Tensor, share: float) -> None:
        """Take a step of SGD with momentum on the mean cross-entropy of each head, at `share` of its learning rate."""
        errors = self.scores(features).softmax(dim=2)
        errors[torch.arange(len(targets), device=targets.device), :, targets] -= 1
        flat = errors.view(len(targets), -1)
        self.weight_speed.addmm_(features.T, flat, beta=MOMENTUM, alpha=1 / len(targets))
        self.bias_speed.mul_(MOMENTUM).add_(flat.sum(dim=0), alpha=1 / len(targets))
        self.weights.sub_(self.weight_speed, alpha=share)
        self.bias.sub_(self.bias_speed, alpha=share)

    def predict(self, features: Tensor) -> Tensor:
        """Return the class [N, H] of features [N, D] by each head."""
        return self.scores(features).argmax(dim=2)


def cosine(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step, from 1 towards 0."""
    return (1 + math.cos(math.pi * step / steps)) / 2
