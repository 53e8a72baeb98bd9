"""CKA against the products that it cannot avoid, and against the code of other packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.analysis.cka import LinearCka

Peer = Callable[[Tensor, Tensor], float]
WIDTH = 768
IMAGES, FEW_IMAGES = 50_000, 5_000
SHARED_DIRECTIONS = 64  # directions that both feature sets have


def measure(device: torch.device) -> list[PerfRow]:
    """Measure both CKAs in one pass: at most 1.25 of the products alone, at least 40 times as fast as Gram forms."""
    return [against_products(device), *against_grams(device)]


def against_products(device: torch.device) -> PerfRow:
    """Compare with the floor: X'X, Y'Y and X'Y in float32, as three calls; means are 100 times the deviation."""
    x, y = _features(IMAGES, device, mean=100.0)
    ours, floor = interleaved(
        lambda: _ours(x, y), lambda: (x.T @ x, y.T @ y, x.T @ y), repeats=3, clock=clock_of(device)
    )
    error = _error(x, y)
    job = f"CKA, {IMAGES} x {WIDTH}, both estimates, means 100 deviations"
    return PerfRow(job, "X'X, Y'Y and X'Y alone", floor, ours, limit=1 / 1.25, note=f"error {error:.1e}")


def against_grams(device: torch.device) -> list[PerfRow]:
    """Compare with other packages in their own operations; they are not imported, because they are no dependency."""
    x, y = _features(FEW_IMAGES, device, mean=1.0)
    exact, error = reference(x, y), _error(x, y)
    peers: dict[str, tuple[Peer, float]] = {
        "ckatorch 1.0.3, cka_base": (_centred_grams, exact[0]),
        "ckatorch 1.0.3, cka_batch": (_batched, exact[1]),
        "torch-cka 0.21, all samples as one batch": (_traces, exact[1]),
    }
    rows = []
    for name, (peer, answer) in peers.items():
        ours, theirs = interleaved(partial(_ours, x, y), partial(peer, x, y), repeats=2, clock=clock_of(device))
        note = f"its error {abs(peer(x, y) - answer):.1e}, ours {error:.1e}"
        rows.append(PerfRow(f"CKA, {FEW_IMAGES} x {WIDTH}", name, theirs, ours, limit=40, note=note))
    return rows


def reference(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Compute biased and unbiased CKA in float64, by Kornblith's formulas in feature space."""
    x, y = (values.double() - values.double().mean(dim=0) for values in (x, y))
    n = len(x)
    squares = [values.square().sum(dim=1) for values in (x, y)]

    def hsic(i: int, j: int) -> tuple[Tensor, Tensor]:
        biased = ((x, y)[i].T @ (x, y)[j]).square().sum()
        a, b = squares[i], squares[j]
        return biased, biased - n / (n - 2) * (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2))

    left_hsic, right_hsic, crossed = hsic(0, 0), hsic(1, 1), hsic(0, 1)
    biased, unbiased = (float(crossed[kind] / (left_hsic[kind] * right_hsic[kind]).sqrt()) for kind in (0, 1))
    return biased, unbiased


def _ours(x: Tensor, y: Tensor) -> tuple[float, float]:
    running = LinearCka(["x"], ["y"])
    running.add([x], [y])
    cka = running.result()
    return float(cka.biased), float(cka.unbiased)


def _error(x: Tensor, y: Tensor) -> float:
    return max(abs(ours - exact) for ours, exact in zip(_ours(x, y), reference(x, y), strict=True))


def _centred_grams(x: Tensor, y: Tensor) -> float:
    """Compute ckatorch's default: Gram matrices in float64, centred, their product over their norms."""
    grams = []
    for values in (x.double(), y.double()):
        gram = values @ values.T
        assert torch.allclose(gram, gram.T)  # ckatorch checks it too
        means = gram.mean(dim=0)
        means = means - means.mean() / 2
        grams.append(gram - means[:, None] - means[None, :])
    product = grams[0].ravel() @ grams[1].ravel()
    return float(product / (torch.linalg.norm(grams[0]) * torch.linalg.norm(grams[1])))


def _batched(x: Tensor, y: Tensor) -> float:
    """Compute ckatorch's unbiased HSIC in float64, as in its comparison of models: three products of Gram matrices."""
    grams = [(values @ values.T).fill_diagonal_(0) for values in (x.double(), y.double())]
    n = len(x)

    def hsic(left: Tensor, right: Tensor) -> Tensor:
        product = left @ right
        return product.trace() + left.sum() * right.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * product.sum()

    return float(hsic(grams[0], grams[1]) / (hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])).sqrt())


def _traces(x: Tensor, y: Tensor) -> float:
    """Compute torch-cka's unbiased HSIC in float32: the trace of a product of Gram matrices, three times."""
    grams = [(values @ values.T).fill_diagonal_(0) for values in (x, y)]
    n, ones = len(x), x.new_ones(len(x), 1)

    def hsic(left: Tensor, right: Tensor) -> float:
        total = torch.trace(left @ right)
        total = total + (ones.T @ left @ ones @ ones.T @ right @ ones).item() / ((n - 1) * (n - 2))
        return float((total - (ones.T @ left @ right @ ones).item() * 2 / (n - 2)) / (n * (n - 3)))

    return hsic(grams[0], grams[1]) / (hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])) ** 0.5


def _features(rows: int, device: torch.device, mean: float) -> tuple[Tensor, Tensor]:
    """Draw two feature sets that have some directions in common; `mean` in deviations."""
    generator = torch.Generator().manual_seed(0)
    draw: Callable[..., Tensor] = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    shared = draw(rows, SHARED_DIRECTIONS)
    sets = [
        shared @ draw(SHARED_DIRECTIONS, WIDTH) / SHARED_DIRECTIONS**0.5
        + draw(rows, WIDTH)
        + 2**0.5 * mean * draw(WIDTH)
        for _ in range(2)
    ]
    return sets[0].to(device), sets[1].to(device)
