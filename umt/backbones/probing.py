"""Sizes and shapes of an architecture, measured in one run rather than read from a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from umt.backbones.contract import Features
from umt.errors import BackboneError, first_line

FORWARDS_A_STEP = (
    3  # forwards that a forward and its backward cost: gradients of inputs and of weights are a forward each
)
SHORT_SIDE = 128  # pixels of the shorter side that is tried, or the next multiple


@dataclass(frozen=True)
class Shape:
    """The declarations that a Backbone makes, as measured."""

    size_multiple: int
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    dim: int


@torch.no_grad()
def measure(
    name: str, model: nn.Module, extract: Callable[[Tensor], Features], multiples: Sequence[int], native: int
) -> Shape:
    """Measure shapes for the first of `multiples` whose images pass: a non-square one, one side beyond `native` pixels.

    Raises UMTError if none passes: the architecture is tied to one input size, or its maps are no regular grid.
    """
    training = model.training
    model.eval()
    problem = ""
    for multiple in multiples:
        height, width = multiple * -(-SHORT_SIDE // multiple), multiple * (native // multiple + 1)
        try:
            features = extract(torch.zeros(1, 3, height, width))
        except Exception as error:  # every architecture refuses a size in its own way
            problem = problem or first_line(error)
            continue
        model.train(training)
        channels = tuple(fmap.shape[1] for fmap in features.maps)
        return Shape(multiple, channels, _strides(name, features.maps, height, width), features.pooled.shape[1])
    raise BackboneError(
        f"{name} takes images of {native}x{native} only ({problem}), and a backbone must take "
        "larger and non-square ones; choose a relative of it that does"
    )


def _strides(name: str, maps: Sequence[Tensor], height: int, width: int) -> tuple[int, ...]:
    for fmap in maps:
        rows, columns = fmap.shape[2:]
        if height % rows or width % columns or height // rows != width // columns:
            raise BackboneError(
                f"{name} is not supported: its {rows}x{columns} map of a {height}x{width} image has no stride"
            )
    return tuple(height // fmap.shape[2] for fmap in maps)


Given = TypeVar("Given")


def counted(forward: Callable[[], Given]) -> tuple[Given, float]:
    """Return the result of a forward, and its multiply-adds in 10^9: of matrix products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter, _as_products():
        given = forward()
    return given, counter.get_total_flops() / 2e9


@contextmanager
def _as_products() -> Iterator[None]:
    """Compute attention as plain matrix products: torch's counter does not know the fused kernels of a CPU."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
