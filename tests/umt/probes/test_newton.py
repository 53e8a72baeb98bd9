"""Products with the Hessian, against those of automatic differentiation in float64.

Where images are almost sure, differentiation itself loses digits to 1 minus a probability of nearly 1.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.probes.newton import Curvature
from umt.probes.objective import SoftmaxObjective

IMAGES, WIDTH, CLASSES, PENALTY = 60, 8, 4, 1e-9


@pytest.mark.parametrize(
    ("kind", "error"), [(torch.float64, 1e-6), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str
)
@pytest.mark.parametrize("scale", [0.1, 30.0], ids=["unsure", "almost sure"])
def test_products_are_exact_in_their_precision(kind: torch.dtype, error: float, scale: float) -> None:
    """Also where images are classified so surely that 1 minus the probability is nothing in float32."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(IMAGES) % CLASSES
    centres = torch.linalg.qr(torch.randn(WIDTH, CLASSES, generator=generator, dtype=torch.float64))[0]
    rows = centres.T[targets] + 0.1 * torch.randn(IMAGES, WIDTH, generator=generator, dtype=torch.float64)
    rows -= rows.mean(dim=0)
    point = SoftmaxObjective.of(rows, targets).at(scale * centres, torch.zeros(CLASSES, dtype=torch.float64), PENALTY)
    direction = (
        torch.randn(WIDTH, CLASSES, generator=generator, dtype=torch.float64),
        torch.randn(CLASSES, generator=generator, dtype=torch.float64),
    )

    def value(weights: Tensor, bias: Tensor) -> Tensor:
        losses = F.cross_entropy(rows @ weights + bias, targets, reduction="sum")
        return losses + PENALTY / 2 * weights.square().sum()

    _, expected = torch.autograd.functional.hvp(value, (point.weights, point.bias), direction)
    curvature = Curvature.at(point, rows.to(kind), targets)
    found = curvature.times(*(part.to(curvature.other_probabilities.dtype) for part in direction))
    for ours, exact in zip(found, expected, strict=True):
        assert (ours.double() - exact).norm() <= error * exact.norm()
    if scale > 1:
        assert 1e-14 < point.errors.gather(1, targets[:, None]).neg().median() < 1e-7
