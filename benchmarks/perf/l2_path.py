"""A linear probe under 45 penalties: against scikit-learn's Newton solver, and torch's L-BFGS along the same path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow
from umt.probes.path import Fit, penalty_path
from umt.training.precision import has_fast_bf16

IMAGES, WIDTH, CLASSES = 6667, 768, 100  # FGVC-Aircraft's train + val, a ViT-B
GRID = np.geomspace(1e-6, 1e5, 45)[::-1]  # from strong to weak
PEER_GRID = slice(4, None, 16)  # part of the grid, for the slow peer
GAP = 1e-6
ROUND, PATIENCE = 5, 1000  # iterations of L-BFGS between two checks, and in total: DINOv2's probe stops there
LIMITS = {"scikit-learn": (60.0, 30.0), "torch": (8.0, 4.0)}  # with matrix units, and without

Loss = Callable[..., Tensor]  # takes weights and bias, in their precision


@dataclass(frozen=True)
class Timed:
    """Seconds and objective of a peer under each penalty, in the order of the grid."""

    seconds: list[float]
    values: list[float]


def measure(device: torch.device) -> list[PerfRow]:
    """Measure once each, as all takes minutes; scikit-learn fits each 16th penalty, and its time is scaled to all."""
    features, labels = synthetic()
    index = 0 if device.type != "cpu" or has_fast_bf16(device) else 1
    ours, fits = _ours(features, labels, device)
    torchs, sklearns = _lbfgs(features, labels, fits, device), _newton(features, labels, fits[PEER_GRID])
    job = f"L2 path, {len(GRID)} penalties, {IMAGES} x {WIDTH}, {CLASSES} classes"
    part = f"each 16th of them, scaled to {len(GRID)}"
    scale = len(GRID) / len(GRID[PEER_GRID])
    return [
        PerfRow(
            job,
            f"scikit-learn newton-cg, float64, {part}",
            scale * sum(sklearns.seconds),
            ours,
            LIMITS["scikit-learn"][index],
            _note(fits, sklearns.values, fits[PEER_GRID]),
        ),
        PerfRow(
            job,
            "torch L-BFGS, each from the one before, fp32 and then float64 until it is there",
            sum(torchs.seconds),
            ours,
            LIMITS["torch"][index],
            _note(fits, torchs.values, fits),
        ),
    ]


def synthetic() -> tuple[np.ndarray, np.ndarray]:
    """Draw overlapping classes whose features have deviations from 1 to 0.1: float32 [N, D] and labels [N]."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    centres = torch.randn(CLASSES, WIDTH, generator=generator)
    noise = torch.randn(IMAGES, WIDTH, generator=generator)
    features = (centres[labels] + 3 * noise) * torch.logspace(0, -1, WIDTH)
    return features.numpy(), labels.numpy()


def _note(fits: list[Fit], values: list[float], our_fits: list[Fit]) -> str:
    """Return our largest certified gap, and the number of fits in which the peer is within the same gap of ours."""
    matches = sum(value <= (1 + GAP) * fit.value for value, fit in zip(values, our_fits, strict=True))
    return (
        f"largest certified gap {max(fit.gap for fit in fits):.1e}; peer within {GAP:g} in {matches} of {len(values)}"
    )


def _ours(features: np.ndarray, labels: np.ndarray, device: torch.device) -> tuple[float, list[Fit]]:
    clock = clock_of(device)
    started = clock()
    fits = list(penalty_path(features, labels, GRID.tolist(), gap=GAP, device=device))
    return clock() - started, fits


def _newton(features: np.ndarray, labels: np.ndarray, fits: list[Fit]) -> Timed:
    """Run scikit-learn at the loosest tolerance that meets the gap, as far as it is known beforehand.

    It bounds the largest component of the gradient over N; the gap bounds the norm, here about 30 times as large.
    """
    rows, clock = features.astype(np.float64), clock_of(torch.device("cpu"))
    seconds, values = [], []
    for fit in fits:
        tolerance = (2 * fit.penalty * GAP * fit.value) ** 0.5 / (30 * len(rows))
        started = clock()
        model = LogisticRegression(C=1 / fit.penalty, solver="newton-cg", tol=tolerance, max_iter=1000)
        model.fit(rows, labels)
        seconds.append(clock() - started)
        values.append(_value(rows, labels, model.coef_.T, model.intercept_, fit.penalty))
    return Timed(seconds, values)


def _lbfgs(features: np.ndarray, labels: np.ndarray, fits: list[Fit], device: torch.device) -> Timed:
    """Run the code of a user: warm along the path, in float32 and, if that does not reach the gap, on in float64."""
    targets = torch.from_numpy(labels).to(device)
    rows = {kind: torch.from_numpy(features).to(device, kind) for kind in (torch.float32, torch.float64)}
    free = [torch.zeros(WIDTH, CLASSES, device=device), torch.zeros(CLASSES, device=device)]
    seconds, values = [], []
    for fit in fits:

        def loss(weights: Tensor, bias: Tensor, penalty: float = fit.penalty) -> Tensor:
            return _loss(rows[weights.dtype], targets, weights, bias, penalty)

        spent = 0.0
        for kind in rows:
            free = [part.detach().to(kind).requires_grad_() for part in free]
            took, value = _minimise(loss, free, fit)
            spent += took
            if value <= (1 + GAP) * fit.value:
                break
        seconds.append(spent)
        values.append(value)
    return Timed(seconds, values)


def _minimise(loss: Loss, free: list[Tensor], fit: Fit) -> tuple[float, float]:
    """Return seconds and objective of L-BFGS until it is within our gap, gets no better, or is at its PATIENCE.

    A user could not know the distance to the optimum: the time to compute it is not counted.
    """
    clock = clock_of(free[0].device)
    solver = torch.optim.LBFGS(
        free, max_iter=ROUND, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss(*free)
        value.backward()
        return value

    seconds, value = 0.0, float("inf")
    for _ in range(PATIENCE // ROUND):
        started = clock()
        solver.step(closure)
        seconds += clock() - started
        before, value = value, loss(*(part.detach().double() for part in free)).item()
        if value <= (1 + GAP) * fit.value or not value < before:
            break
    return seconds, value


def _loss(rows: Tensor, targets: Tensor, weights: Tensor, bias: Tensor, penalty: float) -> Tensor:
    losses = F.cross_entropy(torch.addmm(bias, rows, weights), targets, reduction="sum")
    return losses + penalty / 2 * weights.square().sum()


def _value(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, bias: np.ndarray, penalty: float) -> float:
    """Compute the objective in float64."""
    free = torch.from_numpy(np.ascontiguousarray(weights)), torch.from_numpy(bias)
    return _loss(torch.from_numpy(rows), torch.from_numpy(labels), *free, penalty).item()
