"""The cost of a forward in multiply-adds, the same on every device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

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
