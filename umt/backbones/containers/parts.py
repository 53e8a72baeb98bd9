"""The state dicts in a file: each with the containers it lies in, under names without the wrappers of trainings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from umt.backbones.containers.pickles import StandIn
from umt.text import brief

# Modules that trainings put around a model, anywhere in its names: DDP, torch.compile, FSDP, DeepSpeed.
WRAPPERS = re.compile(
    r"(?:(?<=^)|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_flat_param)\."
)
MAX_DEPTH = 12  # containers in each other
MAX_VALUES = 200_000  # values that are looked at
MODULES = ("_parameters", "_buffers", "_modules")


@dataclass(frozen=True)
class StateDict:
    """A state dict inside a file, and the names of the containers around it."""

    where: tuple[str, ...]
    state: Mapping[str, Tensor]

    def __str__(self) -> str:
        return ".".join(self.where) or "the whole file"


def parts(content: Any) -> list[StateDict]:
    """Return every state dict of a file, outermost first; a container that holds itself is looked at once."""
    states: list[StateDict] = []
    visited: set[int] = set()
    level: list[tuple[tuple[str, ...], Any]] = [((), content)]
    for _ in range(MAX_DEPTH):
        inner: list[tuple[tuple[str, ...], Any]] = []
        for where, value in level:
            if id(value) in visited or len(visited) > MAX_VALUES:
                continue
            visited.add(id(value))
            state = _state(value)
            if state:
                states.append(StateDict(where, _unwrapped(state)))
            inner += [((*where, name), child) for name, child in _children(value)]
        level = inner
    return states


def _state(value: Any) -> dict[str, Tensor]:
    """Return the tensors of a mapping, or of a whole pickled or scripted module, by name."""
    if isinstance(value, Mapping):
        return {_text(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    return dict(_module_tensors(value, "", 0)) if isinstance(value, StandIn) else {}


def _module_tensors(module: StandIn, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    attributes = module.attributes
    groups = [attributes[name] for name in MODULES if isinstance(attributes.get(name), Mapping)] or [attributes]
    for name, value in (pair for group in groups for pair in group.items()):
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, StandIn) and depth < MAX_DEPTH:
            yield from _module_tensors(value, f"{prefix}{name}.", depth + 1)


def _children(value: Any) -> list[tuple[str, Any]]:
    """Return what a container holds by name; the parts of a module are in its own state dict."""
    if isinstance(value, StandIn):
        if any(name in value.attributes for name in MODULES):
            return []
        value = value.attributes
    if not isinstance(value, Mapping):
        return []
    return [(name, child) for name, child in value.items() if isinstance(name, str) and not isinstance(child, Tensor)]


def _unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove wrappers from names, unless two names would become one."""
    names = {name: WRAPPERS.sub("", name) for name in state}
    if len(set(names.values())) < len(names):
        return dict(state)
    return {names[name]: value for name, value in state.items()}


def _text(name: Any) -> str:
    """Return the name of a tensor as text; in a file it may be a number, or any other key."""
    return name if isinstance(name, str) else brief(name)
