"""A linear probe of 1,000 classes, against its matrix products alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.probes.path import Fit, penalty_path

IMAGES, WIDTH, CLASSES = 6000, 384, 1000  # a ViT-S
PENALTIES = (1000.0, 100.0, 10.0)
PRODUCTS = {
    "aten.mm.default": 0,
    "aten.mm.out": 0,
    "aten.addmm_.default": 1,
}  # position of the first of the two factors
LIMIT = 1 / 1.4

Product = tuple[torch.dtype, int, int, int]  # of [N, K] and [K, M]


class ProductCounter(TorchDispatchMode):
    """Counts the matrix products of a block by their precision and size."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if (position := PRODUCTS.get(str(func))) is not None:
            first, second = args[position : position + 2]
            self.counts[first.dtype, *first.shape, second.shape[1]] += 1
        return func(*args, **(kwargs or {}))


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the path and the bare products that it takes, in turns: at most 1.4 times as long."""
    features, labels = _overlapping()

    def fit() -> list[Fit]:
        return list(penalty_path(features, labels, PENALTIES, device=device))

    counter = ProductCounter()
    with counter:
        fits = fit()
    factors = {product: _factors(product, device) for product in counter.counts}

    def multiply() -> None:
        for product, count in counter.counts.items():
            first, second, out = factors[product]
            for _ in range(count):
                torch.mm(first, second, out=out)

    theirs, ours = interleaved(multiply, fit, repeats=3, clock=clock_of(device))
    job = f"linear path, {len(PENALTIES)} penalties, {IMAGES} x {WIDTH}, {CLASSES} classes"
    return [PerfRow(job, "its matrix products", theirs, ours, LIMIT, f"largest gap {max(fit.gap for fit in fits):.1e}")]


def _overlapping() -> tuple[np.ndarray, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    centres = torch.randn(CLASSES, WIDTH, generator=generator)
    noise = torch.randn(IMAGES, WIDTH, generator=generator)
    return ((centres[labels] + 3 * noise) * torch.logspace(0, -1, WIDTH)).numpy(), labels.numpy()


def _factors(product: Product, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    dtype, rows, inner, columns = product
    shapes = ((rows, inner), (inner, columns), (rows, columns))
    return tuple(torch.ones(shape, dtype=dtype, device=device) for shape in shapes)  # type: ignore[return-value]
