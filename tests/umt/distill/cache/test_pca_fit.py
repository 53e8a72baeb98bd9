"""Bases are the components of a float64 analysis, their bits the ones of least error in a sixth of the size."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from umt.distill.cache.pca import Basis
from umt.distill.cache.pca_fit import (
    SQUARED_ERRORS,
    STEPS,
    choose_bits,
    fit_bases,
    principal_components,
    target_bytes,
)
from umt.errors import UMTError

VIT_B = {
    f"{name}.{part}": (768, cells) for name in ("mae", "dino") for part, cells in (("summary", 1), ("features", 196))
}


def correlated(count: int, width: int = 24, *, flat: bool = False) -> torch.Tensor:
    """Draw vectors whose components have the variances 1, 1/2, 1/4, ..., or all 1, around a mean that is far from 0."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    values = rng.standard_normal((count, width)) * (1.0 if flat else 2.0 ** (-np.arange(width) / 2))
    return torch.from_numpy((values @ rotation + 5).astype(np.float32))


def fit(vectors: torch.Tensor, size: int) -> tuple[Basis, float]:
    """Fit the basis of a target of one vector, and return its error on every eighth, too."""
    bases, errors = fit_bases({"x": vectors[:, None]}, {"x": (vectors.shape[1], 1)}, size)
    return bases["x"], errors["x"]


def squared_error(step: float, bits: int) -> float:
    """Return the expected squared error of codes of a normal value: each level's second moment around it."""
    edges = step * np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1) + 1)
    levels = (edges[:-1] + edges[1:]) / 2
    edges[0], edges[-1] = -np.inf, np.inf
    mass, density = np.diff(norm.cdf(edges)), norm.pdf(edges)
    first = -np.diff(density)
    second = mass - np.diff(np.where(np.isfinite(edges), edges, 0) * density)
    return float((second - 2 * levels * first + levels**2 * mass).sum())


@pytest.mark.parametrize("bits", range(1, 9))
def test_steps_are_the_best_of_a_normal_value(bits: int) -> None:
    """Search the step of least error in float64."""
    best = minimize_scalar(squared_error, bounds=(0.01, 3), args=(bits,), method="bounded", options={"xatol": 1e-9})
    assert STEPS[bits] == pytest.approx(best.x, rel=2e-3)
    assert SQUARED_ERRORS[bits] == pytest.approx(best.fun, rel=2e-3)


def test_components_are_those_of_a_float64_pca() -> None:
    """numpy's decomposition of the same vectors; their number draws the variances together a little."""
    vectors = correlated(40000)
    mean, components, variances = (values.numpy() for values in principal_components(vectors))
    centred = vectors.double().numpy() - vectors.double().numpy().mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(mean, vectors.double().numpy().mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.abs(components @ axes.T), np.eye(24), atol=1e-6)
    np.testing.assert_allclose(variances[:8], singular[:8] ** 2 / len(vectors), rtol=0.01)
    assert variances.sum() == pytest.approx((centred**2).sum() / len(vectors), rel=1e-9)


def test_the_error_is_the_one_of_the_bits() -> None:
    """Take the components' shares of the variance as they were drawn, and the error of their bits."""
    basis, error = fit(correlated(80000), 6)
    assert basis.width == 6
    variances = 0.5 ** np.arange(24)
    bits = basis.bits.tolist() + [0] * (24 - len(basis.bits))
    expected = (variances * np.array(SQUARED_ERRORS)[bits]).sum() / variances.sum()
    assert error == pytest.approx(expected, rel=0.05)


def test_bits_have_the_least_sum_of_errors() -> None:
    """Try all bits of a vector of three components, and of a map of two with three cells."""
    variances = {"a": torch.tensor([4.0, 1.0, 0.1]), "b": torch.tensor([3.0, 2.0])}
    bits = choose_bits(variances, {"a": (3, 1), "b": (2, 3)}, 5)
    errors = np.array(SQUARED_ERRORS)
    choices = {}
    for name, count in (("a", 3), ("b", 2)):
        shares = (variances[name] / variances[name].sum()).numpy()
        options = [np.array(option) for option in product(range(9), repeat=count) if sum(option) % 8 == 0]
        choices[name] = [(int(option.sum()) // 8, float((shares * errors[option]).sum())) for option in options]
    least = min(
        first + second
        for (bytes_a, first), (bytes_b, second) in product(choices["a"], choices["b"])
        if bytes_a + 3 * bytes_b <= 5
    )
    found = sum(float((variances[name] / variances[name].sum()).numpy() @ errors[bits[name]]) for name in variances)
    assert found == pytest.approx(least, rel=1e-6)
    assert int(bits["a"].sum()) // 8 + 3 * (int(bits["b"].sum()) // 8) == 5


def test_a_view_of_three_teachers_takes_a_sixth() -> None:
    extents = VIT_B | {"cls.summary": (1024, 1), "cls.features": (1024, 1)}
    halves = 2 * sum(width * cells for width, cells in extents.values())
    total = target_bytes(extents, 104)
    assert 6 <= (halves + 104) / (total + 104) < 6.001
    bits = choose_bits({name: 0.99 ** torch.arange(width) for name, (width, _) in extents.items()}, extents, total)
    used = sum(int(bits[name].sum()) // 8 * cells for name, (_, cells) in extents.items())
    assert total - 196 < used <= total
    assert bits["cls.summary"].sum() > bits["dino.features"].sum(), "a vector costs less than a map"
    assert target_bytes({"tiny.summary": (8, 1)}, 104) == 2, "an eighth of fp16"


def test_directions_that_no_fitted_vector_has_are_not_lost() -> None:
    """Compare with all that lies outside of the span of the fitted ones of twelve vectors with 24 channels."""
    vectors = correlated(400, flat=True)
    seen = vectors[:12][torch.arange(12) % 8 != 7]
    span = np.linalg.svd((seen - seen.mean(dim=0)).numpy(), full_matrices=False)[2]
    centred = (vectors[12:] - vectors[12:].mean(dim=0)).numpy()
    outside = ((centred - centred @ span.T @ span) ** 2).sum() / (centred**2).sum()
    assert outside > 0.5
    assert fit(vectors[:12], 24)[0].error(vectors[12:]) < 0.25 * outside


def test_a_constant_target_is_kept() -> None:
    basis, error = fit(torch.full((40, 24), 3.0), 4)
    assert error < 1e-6
    torch.testing.assert_close(basis.decode(basis.encode(torch.full((2, 24), 3.0))).float(), torch.full((2, 24), 3.0))


def test_a_teacher_without_finite_values_is_named() -> None:
    sample = correlated(50)[:, None]
    sample[7, 0, 3] = float("inf")
    with pytest.raises(UMTError, match=r"'dino.features': the teacher gives values that are not finite"):
        fit_bases({"dino.features": sample}, {"dino.features": (24, 1)}, 4)
