"""A state dict against a model, strict both ways: every tensor has a place, or a named reason to have none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from umt.backbones.recognition.layout import Layout, conventions, kind_of
from umt.text import brief

COUNTERS = {"counter of batches": r".*num_batches_tracked$"}
MAX_SHOWN = 3  # names of each side in a sentence
Shapes = Mapping[str, torch.Size]


@dataclass(frozen=True)
class WeightFit:
    """The comparison of a file with a model: what is loaded, what is left, and the problems that forbid it."""

    state: Mapping[str, Tensor]
    unused: Mapping[str, list[str]] = field(default_factory=dict)  # kind -> names in the file
    absent: Mapping[str, list[str]] = field(default_factory=dict)  # reason -> names in the model
    allowed: tuple[str, ...] = ()  # names that only allow=PATTERN lets pass
    problems: tuple[str, ...] = ()


def fit(model: nn.Module, state: Mapping[str, Tensor], layout: Layout, allow: str | None) -> WeightFit:
    """Compare tensors under the model's names with the model; nothing is judged by a share."""
    kinds, absent_kinds = {**layout.left, **conventions().left}, layout.absent
    if layout.left_if_zero:
        zeros = [name for name, value in state.items() if re.match(layout.left_if_zero, name) and not value.any()]
        kinds = {"bias of zeros": "|".join(f"{re.escape(name)}$" for name in zeros) or "$^", **kinds}
    shapes, usable = shapes_of(model), fitted(model, state)
    over, over_unknown = _sorted_by(state.keys() - shapes.keys(), {**kinds, **COUNTERS})
    absent, absent_unknown = _sorted_by(shapes.keys() - state.keys(), {**absent_kinds, **COUNTERS})
    allowed = [name for name in (*over_unknown, *absent_unknown) if allow and re.search(allow, name)]
    over_unknown = [name for name in over_unknown if name not in allowed]
    absent_unknown = [name for name in absent_unknown if name not in allowed]
    problems = (*_other_shapes(usable, shapes), *_unknown(over_unknown, absent_unknown))
    return WeightFit(usable, over, absent, tuple(allowed), problems)


def shapes_of(model: nn.Module) -> Shapes:
    return {name: value.shape for name, value in model.state_dict().items()}


def fitted(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that a model has a place for."""
    shapes = shapes_of(model)
    return {name: _shaped(value, shapes[name]) for name, value in state.items() if name in shapes}


def _shaped(value: Tensor, shape: torch.Size) -> Tensor:
    """Return a tensor in the model's shape if only axes of one entry differ: a class token [C] as [1, 1, C]."""
    if value.shape == shape or [side for side in value.shape if side != 1] != [side for side in shape if side != 1]:
        return value
    return value.reshape(shape)


def _sorted_by(names: set[str], kinds: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    known: dict[str, list[str]] = {}
    unknown = []
    for name in sorted(names):
        kind = kind_of(name, kinds)
        known.setdefault(kind, []).append(name) if kind else unknown.append(name)
    return known, unknown


def _other_shapes(state: Mapping[str, Tensor], shapes: Shapes) -> list[str]:
    wrong = [name for name, value in state.items() if value.shape != shapes[name]]
    return [
        f"'{name}' is {tuple(state[name].shape)} in the file, {tuple(shapes[name])} in the model" for name in wrong[:1]
    ]


def _unknown(over: list[str], absent: list[str]) -> list[str]:
    lines = []
    if absent:
        lines.append(f"{len(absent)} tensors of the model are not in the file: {brief_names(absent)}")
    if over:
        lines.append(f"{len(over)} tensors of the file have no place in the model: {brief_names(over)}")
    return lines


def brief_names(names: list[str]) -> str:
    """Return some names for a sentence."""
    return ", ".join(map(brief, names[:MAX_SHOWN])) + (", ..." if len(names) > MAX_SHOWN else "")
