"""Losses against formulas written by hand in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from umt.distill.objectives import FEATURE_LOSSES, cosine, mse


def by_hand_cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(3, 5, 2, 4, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def test_pooled_cosine(maps: tuple[Tensor, Tensor]) -> None:
    ours, theirs = (fmap.mean(dim=(2, 3)) for fmap in maps)
    expected = sum(by_hand_cosine(a.tolist(), b.tolist()) for a, b in zip(ours, theirs, strict=True)) / 3
    assert FEATURE_LOSSES["pooled_cosine"].pooled
    assert cosine(ours, theirs).item() == pytest.approx(expected, abs=1e-6)


def test_patch_cosine_is_the_mean_over_cells(maps: tuple[Tensor, Tensor]) -> None:
    cells = [
        by_hand_cosine(maps[0][image, :, row, column].tolist(), maps[1][image, :, row, column].tolist())
        for image in range(3)
        for row in range(2)
        for column in range(4)
    ]
    assert not FEATURE_LOSSES["patch_cosine"].pooled
    assert cosine(*maps).item() == pytest.approx(sum(cells) / len(cells), abs=1e-6)


def test_patch_mse_is_the_mean_over_all_elements(maps: tuple[Tensor, Tensor]) -> None:
    ours, theirs = (fmap.flatten().tolist() for fmap in maps)
    expected = sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) / len(ours)
    assert FEATURE_LOSSES["patch_mse"].distance(*maps).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("distance", [cosine, mse])
def test_losses_are_taken_in_float32_whatever_comes(distance: object, maps: tuple[Tensor, Tensor]) -> None:
    half = distance(*(fmap.bfloat16() for fmap in maps))  # type: ignore[operator]
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(distance(*maps).item(), rel=0.02)  # type: ignore[operator]
