"""Sizes and shapes of an architecture, measured in one run rather than read from a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from umt.backbones.build_record import keep, recall
from umt.backbones.contract import Backbone, Features, Preprocess
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
    has_cls: bool = False  # true if a class token comes with every map
    fixed: int | None = None  # the only side that passes, None if there are more
    no_maps: str | None = None  # the reason if there are no maps, or none with a stride


class MeasuredBackbone(Backbone):
    """A backbone whose declarations were measured."""

    def __init__(self, shape: Shape, preprocess: Preprocess) -> None:
        sizes = replace(preprocess, size_multiple=shape.size_multiple, size=shape.fixed or preprocess.size)
        super().__init__(sizes, channels=shape.channels, strides=shape.strides, dim=shape.dim)
        self.fixed, self.no_maps = shape.fixed is not None, shape.no_maps


def measure(
    name: str,
    model: nn.Module,
    extract: Callable[[Tensor], Features],
    multiples: Sequence[int],
    native: int,
    only: int | None = None,
) -> Shape:
    """Measure shapes for the first of `multiples` whose images pass: a non-square one, one side beyond `native` pixels.

    If none passes, the architecture is tied to the side `only`, by default `native`. Maps without a stride are left
    out. Raises UMTError if images of that side do not pass either. Shapes that the plan of a run has measured are
    those of its jobs.
    """
    question = f"shapes of {name} for multiples of {list(multiples)}, {native} pixels, or {only} alone"
    shape = recall(question, Shape)
    if shape is None:
        shape = _measured(name, model, extract, multiples, native, only)
        keep(question, shape)
    return shape


@torch.no_grad()
def _measured(
    name: str,
    model: nn.Module,
    extract: Callable[[Tensor], Features],
    multiples: Sequence[int],
    native: int,
    only: int | None,
) -> Shape:
    training = model.training
    model.eval()
    try:
        problem = ""
        for multiple in multiples:
            height, width = multiple * -(-SHORT_SIDE // multiple), multiple * (native // multiple + 1)
            try:
                features = extract(_blank(model, height, width))
            except Exception as error:  # every architecture refuses a size in its own way
                problem = problem or first_line(error)
                continue
            return _shape(multiple, features, height, width)
        return _fixed_shape(name, extract, model, only or native, problem)
    finally:
        model.train(training)


def _shape(multiple: int, features: Features, height: int, width: int) -> Shape:
    dim, no_maps = features.pooled.shape[1], None if features.maps else "it has none"
    for fmap in features.maps:
        rows, columns = fmap.shape[2:] if fmap.ndim == 4 else (0, 0)
        if not rows or height % rows or width % columns or height // rows != width // columns:
            no_maps = f"its {rows}x{columns} map of a {height}x{width} image has no stride"
    if no_maps:
        return Shape(multiple, (), (), dim, no_maps=no_maps)
    channels, strides = zip(*((fmap.shape[1], height // fmap.shape[2]) for fmap in features.maps), strict=True)
    return Shape(multiple, channels, strides, dim, features.map_cls is not None)


def _fixed_shape(name: str, extract: Callable[[Tensor], Features], model: nn.Module, side: int, problem: str) -> Shape:
    try:
        features = extract(_blank(model, side, side))
    except Exception as error:
        raise BackboneError(
            f"{name} takes neither images of {side}x{side} ({first_line(error)}) nor others ({problem}); "
            "choose a relative of it"
        ) from error
    return replace(_shape(side, features, side, side), fixed=side)


def _blank(model: nn.Module, height: int, width: int) -> Tensor:
    """Return a black image where the model is, in the type of its weights."""
    parameter = next(model.parameters(), torch.zeros(()))
    return torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype)


Value = TypeVar("Value")


def counted(forward: Callable[[], Value]) -> tuple[Value, float]:
    """Return the result of a forward, and its multiply-adds in 10^9: of matrix products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter, _as_products():
        value = forward()
    return value, counter.get_total_flops() / 2e9


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
