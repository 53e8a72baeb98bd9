"""Standardised targets: moments against numpy, the properties that PHI-S promises, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from umt.distill.alignment.standardise import Standardiser, Standardisers, TargetMoments, equalising_rotation
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, Targets
from umt.errors import UMTError


@pytest.fixture
def values() -> Tensor:
    """Correlated vectors with very different scales and a mean far from zero: [500, 12]."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(12, 12, generator=generator, dtype=torch.float64) * torch.logspace(
        -2, 1, 12, dtype=torch.float64
    )
    return torch.randn(500, 12, generator=generator, dtype=torch.float64) @ mixing + 100


def fitted(method: str, values: Tensor) -> Standardiser:
    moments = TargetMoments()
    moments.add(values)
    standardiser = Standardiser(method, values.shape[1])
    standardiser.fit(*moments.result())
    return standardiser


def test_moments_in_batches_and_maps_are_numpys(values: Tensor) -> None:
    moments = TargetMoments()
    moments.add(values[:100])
    moments.add(values[100:].view(4, 10, 10, 12).permute(0, 3, 1, 2))
    mean, covariance = moments.result()
    np.testing.assert_allclose(mean, np.mean(values.numpy(), axis=0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(values.numpy().T, bias=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["mean_std", "phi_s"])
def test_every_dimension_has_mean_0_and_variance_1(method: str, values: Tensor) -> None:
    out = fitted(method, values)(values).double()
    assert out.mean(dim=0).abs().max() < 1e-4
    np.testing.assert_allclose(out.var(dim=0, unbiased=False), 1, rtol=1e-4)


def test_phi_s_is_a_rotation_over_one_number(values: Tensor) -> None:
    standardiser = fitted("phi_s", values)
    gram = standardiser.weight.double() @ standardiser.weight.double().T
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(12), atol=1e-5)
    total = np.cov(values.numpy().T, bias=True).trace() / 12
    assert gram[0, 0].item() == pytest.approx(1 / total, rel=1e-5)


@pytest.mark.parametrize("width", [1, 2, 7, 12])
def test_the_rotation_equalises_any_width(width: int) -> None:
    matrix = torch.randn(width, width, generator=torch.Generator().manual_seed(width), dtype=torch.float64)
    covariance = matrix @ matrix.T
    rotation = equalising_rotation(covariance)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(width), atol=1e-12)
    np.testing.assert_allclose((rotation @ covariance @ rotation.T).diagonal(), covariance.trace() / width, rtol=1e-9)


@pytest.mark.parametrize("method", ["mean_std", "phi_s"])
def test_the_way_back_gives_the_teachers_own_units(method: str, values: Tensor) -> None:
    shapes = [SpaceShape("a", 12, 12)]
    standardisers = Standardisers(method, shapes)
    fmap = values[:32].view(2, 4, 4, 12).permute(0, 3, 1, 2).float()
    summary = values[32:34].float()
    standardisers.fit([{"a": Targets(values.float(), fmap)}])
    asked = standardisers("a", Targets(summary, fmap))
    back = standardisers.undo("a", SpaceFeatures(asked.summary, asked.features, None))
    np.testing.assert_allclose(back.summary, summary, rtol=1e-4)  # type: ignore[arg-type]
    np.testing.assert_allclose(back.fmap, fmap, rtol=1e-3)


def test_a_constant_dimension_does_not_blow_up() -> None:
    values = torch.randn(50, 3, dtype=torch.float64)
    values[:, 1] = 5
    assert fitted("mean_std", values)(values).isfinite().all()


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(UMTError, match=r"unknown alignment.standardise 'phi'.*phi_s"):
        Standardiser("phi", 3)
