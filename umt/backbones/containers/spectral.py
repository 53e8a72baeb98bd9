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
        if match is None:
            continue
        start = f"{match[1]}.parametrizations.{match[2]}."
        normed = _normed(weight, state, f"{start}0.")
        if normed is not None:
            result = {other: value for other, value in result.items() if not other.startswith(start)}
            result[f"{match[1]}.{match[2]}"] = normed
    return result


def _normed(weight: Tensor, state: State, start: str) -> Tensor | None:
    """Return the matrix, or its equal parts each with a norm of its own, one below the other; None without a norm."""
    if f"{start}scale" in state:
        return weight * _factor(weight, state, start)
    numbers = {int(name[len(start) :].split(".")[1]) for name in state if name.startswith(f"{start}parts.")}
    if not numbers:
        return None
    # Queries, keys and values have three parts, of which the last may be free; gates and hidden units have two.
    pieces = weight.chunk(3 if ".qkv." in start else 2)
    starts = [f"{start}parts.{number}." for number in range(len(pieces))]
    return torch.cat([_normed_part(piece, state, begin) for piece, begin in zip(pieces, starts, strict=True)])


def _normed_part(weight: Tensor, state: State, start: str) -> Tensor:
    return weight * _factor(weight, state, start) if f"{start}scale" in state else weight


def _factor(weight: Tensor, state: State, start: str) -> Tensor:
    left, right = (state[f"{start}{side}"].float() for side in ("_u", "_v"))
    norm = torch.dot(left, torch.mv(weight.float(), right))
    first = int(state.get(f"{start}_sn_version", torch.tensor(1))) == 1
    wanted = state[f"{start}scale"].float()
    return ((wanted if first else softplus(wanted) + FLOOR) / norm).flatten()
