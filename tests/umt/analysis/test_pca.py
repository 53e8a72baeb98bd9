"""Principal components against sklearn and the exact covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from umt.analysis import pca as module
from umt.analysis.pca import principal_components
from umt.errors import UMTError


def tokens(rows: int, width: int, decay: float, mean: float = 1.0) -> Tensor:
    """Deviations fall as 1 / i^decay along hidden axes."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    deviations = torch.arange(1, width + 1).float().pow(-decay)
    return (torch.randn(rows, width, generator=generator) * deviations) @ axes.T + mean * torch.randn(
        width, generator=generator
    )


@pytest.mark.parametrize(("rows", "width"), [(4000, 128), (300, 20)])
def test_components_signs_and_variances_equal_sklearns(rows: int, width: int) -> None:
    """Fitted in float64; sklearn makes the largest entry of each axis positive as well."""
    given = tokens(rows, width, decay=1)
    found = principal_components(given)
    exact = PCA(3, svd_solver="covariance_eigh").fit(given.double().numpy())
    signs = np.sign(exact.components_[range(3), np.abs(exact.components_).argmax(axis=1)])
    np.testing.assert_allclose(found.axes.numpy(), exact.components_ * signs[:, None], atol=2e-5)
    np.testing.assert_allclose(found.variances.numpy(), exact.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(found.explained, exact.explained_variance_ratio_, rtol=1e-5)
    np.testing.assert_allclose(found.mean.numpy(), exact.mean_, atol=1e-5)
    projected = found.project(given).numpy() * signs
    np.testing.assert_allclose(projected, exact.transform(given.double().numpy()) * signs * signs, atol=1e-3)


@pytest.mark.parametrize("mean", [1.0, 100.0])
def test_the_space_is_within_the_angle(mean: float) -> None:
    """Measured as the sine of the largest angle between both spaces."""
    given = tokens(6000, 160, decay=1, mean=mean)
    found = principal_components(given).axes.double()
    centred = given.double() - given.double().mean(dim=0)
    exact = torch.linalg.eigh(centred.T @ centred)[1][:, -3:]
    outside = found.T - exact @ (exact.T @ found.T)
    assert float(torch.linalg.matrix_norm(outside, 2)) <= 1e-5


def test_a_sample_without_variance_is_only_a_bad_start() -> None:
    given = tokens(4000, 128, decay=1)
    given[:: module.SAMPLE_STRIDE] = 7.0
    found = principal_components(given).axes.double().numpy()
    exact = PCA(3, svd_solver="covariance_eigh").fit(given.double().numpy()).components_
    np.testing.assert_allclose(found.T @ found, exact.T @ exact, atol=2e-5)


def test_a_flat_spectrum_is_taken_from_the_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    given = torch.randn(2000, 128, generator=torch.Generator().manual_seed(0))
    calls: list[int] = []
    exact = module._exact
    monkeypatch.setattr(module, "_exact", lambda *arguments: calls.append(1) or exact(*arguments))
    found = principal_components(given)
    reference = PCA(3, svd_solver="covariance_eigh").fit(given.double().numpy())
    assert calls
    np.testing.assert_allclose(found.variances.numpy(), reference.explained_variance_, rtol=1e-5)


def test_equal_tokens_give_equal_axes_with_the_largest_entry_positive() -> None:
    given = tokens(3000, 100, decay=0.7)
    one, other = principal_components(given), principal_components(given.clone())
    assert torch.equal(one.axes, other.axes)
    assert (one.axes.gather(1, one.axes.abs().argmax(dim=1, keepdim=True)) > 0).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.randn(3, 8), "3 principal components of 3 tokens"),
        (torch.randn(50, 2), "with 2 dimensions"),
        (torch.full((50, 8), 0.3), "all are the same"),
        (torch.full((500, 128), 0.3), "all are the same"),
        (torch.full((50, 8), float("nan")), "not finite"),
        (torch.full((500, 128), float("nan")), "not finite"),
    ],
)
def test_tokens_without_components_are_an_error(given: Tensor, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        principal_components(given)
