"""Three principal components of the tokens of a large image, against sklearn."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.analysis.pca import principal_components

TOKENS, WIDTH = 65_536, 768
DECAYS = (1.0, 0.5)  # deviations along the axes are 1 / i^decay: spectra that are steep and flat


def measure(device: torch.device) -> list[PerfRow]:
    """Measure both spectra: at most 0.45 of sklearn's time."""
    return [against_sklearn(decay, device) for decay in DECAYS]


def against_sklearn(decay: float, device: torch.device) -> PerfRow:
    """Compare with sklearn, which picks its own solver, on the CPU, in the float32 of its input."""
    tokens = _tokens(decay).to(device)
    rows = tokens.cpu().numpy()
    theirs, ours = interleaved(
        lambda: PCA(3).fit(rows), lambda: principal_components(tokens), repeats=3, clock=clock_of(device)
    )
    exact = PCA(3, svd_solver="covariance_eigh").fit(rows.astype(np.float64)).components_
    angles = [
        _sine(axes, exact) for axes in (principal_components(tokens).axes.cpu().numpy(), PCA(3).fit(rows).components_)
    ]
    job = f"PCA, {TOKENS} x {WIDTH}, deviations 1 / i^{decay:g}"
    note = f"sine to float64 {angles[0]:.1e}, sklearn's {angles[1]:.1e}"
    return PerfRow(job, "sklearn PCA(3)", theirs, ours, limit=1 / 0.45, note=note)


def _sine(axes: np.ndarray, exact: np.ndarray) -> float:
    """Return the sine of the largest angle between two spaces, given by rows."""
    basis = np.linalg.qr(axes.astype(np.float64).T)[0]
    return float(np.linalg.norm(basis - exact.T @ (exact @ basis), ord=2))


def _tokens(decay: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0]
    deviations = torch.arange(1, WIDTH + 1).float().pow(-decay)
    mean = torch.randn(WIDTH, generator=generator)
    return (torch.randn(TOKENS, WIDTH, generator=generator) * deviations) @ axes.T + mean
