"""Weights that a training stores as a matrix and its spectral norm: computed once, as their code does it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import softplus

ORIGINAL = re.compile(r"(.*)\.parametrizations\.(\w+)\.original")
FLOOR = 0.05  # of the norm that RADIO's second version of the parametrisation trains
State = Mapping[str, Tensor]


def without_spectral_norms(state: State) -> State:
    """Return a state dict whose matrices are as RADIO computes them; any other parametrisation stays as it is."""
    result = dict(state)
    for name, weight in state.items():
        match = ORIGINAL.fullmatch(name)
        if match is None or weight.dim() != 2:
            continue
        start = f"{match[1]}.parametrizations.{match[2]}."
        normed = _normed(weight, state, f"{start}0.")
        if normed is not None:
            result = {key: value for key, value in result.items() if not key.startswith(start)}
            result[f"{match[1]}.{match[2]}"] = normed
    return result


def _normed(weight: Tensor, state: State, start: str) -> Tensor | None:
    """Return the matrix, or its equal parts each with a norm of its own, one below the other; None without a norm."""
    factor = _factor(weight, state, start)
    if factor is not None:
        return weight * factor
    # Queries, keys and values have three parts, of which the last may be free; gates and hidden units have two.
    pieces = weight.chunk(3 if ".qkv." in start else 2)
    factors = [_factor(piece, state, f"{start}parts.{number}.") for number, piece in enumerate(pieces)]
    if factors[0] is None:
        return None
    return torch.cat([piece if scale is None else piece * scale for piece, scale in zip(pieces, factors, strict=True)])


def _factor(weight: Tensor, state: State, start: str) -> Tensor | None:
    """Return the factor that gives a matrix the norm that was trained; None without a norm for this shape."""
    left, right, scale = (state.get(f"{start}{name}") for name in ("_u", "_v", "scale"))
    if left is None or right is None or scale is None:
        return None
    if (left.shape, right.shape, scale.numel()) != (weight.shape[:1], weight.shape[1:], 1):
        return None
    norm = torch.dot(left.float(), torch.mv(weight.float(), right.float()))
    version = state.get(f"{start}_sn_version")
    first = version is None or not (version.numel() == 1 and int(version) == 2)
    trained = scale.float().flatten()
    return (trained if first else softplus(trained) + FLOOR) / norm
