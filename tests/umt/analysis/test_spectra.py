"""Descriptions of features on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigvalsh

from umt.analysis.spectra import alpha_req, intrinsic_dimension, lidar, norm_statistics, position_r2


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_alpha_of_a_power_law_is_its_exponent(rng: np.random.Generator, alpha: float) -> None:
    rows, _ = np.linalg.qr(rng.normal(size=(400, 128)) - 0.0)
    rows -= rows.mean(axis=0)
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    features = (left * np.arange(1, 129) ** (-alpha / 2)) @ right
    assert alpha_req(features) == pytest.approx(alpha, rel=1e-9)


def test_alpha_of_features_without_a_spectrum_is_no_number() -> None:
    assert np.isnan(alpha_req(np.eye(2)))


def test_lidar_is_the_published_formula(rng: np.random.Generator) -> None:
    """As a generalised eigenvalue problem by LAPACK (Thilak et al. 2024, section 4)."""
    labels = np.repeat(np.arange(12), 20)
    features = 2 * rng.normal(size=(12, 6))[labels] + rng.normal(size=(240, 6))
    means = np.stack([features[labels == label].mean(axis=0) for label in range(12)])
    within = sum(np.outer(row - means[label], row - means[label]) for row, label in zip(features, labels, strict=True))
    values = eigvalsh(np.cov(means.T), within / 240 + 1e-4 * np.eye(6))
    shares = values / values.sum() + 1e-8
    assert lidar(features, labels) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_lidar_counts_directions_that_tell_classes_apart(rng: np.random.Generator) -> None:
    labels = np.repeat(np.arange(40), 25)
    centres = np.zeros((40, 16))
    centres[:, :3] = 100 * rng.normal(size=(40, 3))
    assert lidar(centres[labels] + rng.normal(size=(1000, 16)), labels) == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_the_dimension_of_a_torus_is_found(rng: np.random.Generator, dimension: int) -> None:
    """A flat torus, which has no edge: near one, neighbours lie on one side, and the estimate is too low."""
    angles = rng.uniform(0, 2 * np.pi, size=(4000, dimension))
    torus = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    assert intrinsic_dimension(np.concatenate([torus, torus[:5]])) == pytest.approx(dimension, rel=0.07)


def test_equal_images_have_no_dimension() -> None:
    assert np.isnan(intrinsic_dimension(np.ones((5, 3))))


def test_outliers_are_counted() -> None:
    norms = np.ones((10, 100))
    norms[0, :7] = 50
    assert norm_statistics(norms, 3.0) == pytest.approx({"outlier_share": 0.7, "norm_ratio": 50.0})


def test_positions_are_decoded_if_they_are_there(rng: np.random.Generator) -> None:
    noise = rng.normal(size=(30, 8, 7, 5))
    placed = noise.copy()
    placed[:, 0] += 50 * np.arange(7)[:, None]
    placed[:, 1] += 50 * np.arange(5)
    assert position_r2(placed) > 99
    assert abs(position_r2(noise)) < 5
    assert np.isnan(position_r2(noise[:, :, :1, :1]))
    assert position_r2(placed[:, :, :1]) > 99, "a map of one row has columns"


def test_positions_below_the_content_of_an_image_are_no_worse_than_a_guess(rng: np.random.Generator) -> None:
    """Nearly as many channels as tokens, which an image shares: a light penalty learns the images by heart."""
    tokens = rng.normal(size=(60, 300, 1, 1)) + 0.3 * rng.normal(size=(60, 300, 4, 4))
    assert position_r2(tokens) > -5
    places = 0.3 * rng.normal(size=(300, 4, 4))
    assert position_r2(tokens + places) > 30
