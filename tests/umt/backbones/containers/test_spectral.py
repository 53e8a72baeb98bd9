"""Matrices with a spectral norm of their own; what is none, or does not fit, stays as it is in the file."""

from __future__ import annotations

import torch
from torch import Tensor

from umt.backbones.containers.spectral import without_spectral_norms

START = "mlp.w12.parametrizations.weight."


def part(weight: Tensor, wanted: float) -> dict[str, Tensor]:
    left, _, right = torch.linalg.svd(weight)
    return {"_u": left[:, 0], "_v": right[0], "scale": torch.tensor([[wanted]])}


def gated() -> dict[str, Tensor]:
    weight = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    parts = [part(rows, number + 1.0) for number, rows in enumerate(weight.chunk(2))]
    named = {f"{START}0.parts.{number}.{name}": value for number, of in enumerate(parts) for name, value in of.items()}
    return {f"{START}original": weight, **named, "norm.weight": torch.ones(2)}


def test_gates_and_hidden_units_have_a_norm_each() -> None:
    found = without_spectral_norms(gated())
    assert found.keys() == {"mlp.w12.weight", "norm.weight"}
    norms = [torch.linalg.matrix_norm(rows, 2) for rows in found["mlp.w12.weight"].chunk(2)]
    torch.testing.assert_close(torch.stack(norms), torch.tensor([1.0, 2.0]))


def test_what_does_not_fit_stays() -> None:
    """The strict comparison with the model refuses it then, with its name."""
    for name, value in (
        (f"{START}original", torch.zeros(7)),
        (f"{START}0.parts.0._u", torch.zeros(5)),
        (f"{START}0.parts.0._v", torch.zeros(6, 1)),
        (f"{START}0.parts.0.scale", torch.zeros(2)),
    ):
        state = {**gated(), name: value}
        assert without_spectral_norms(state) == state
    weight_norm = {"conv.parametrizations.weight.original0": torch.ones(2), "conv.bias": torch.ones(2)}
    assert without_spectral_norms(weight_norm) == weight_norm
