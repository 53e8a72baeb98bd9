"""Matches between views against brute force in float64, and on frames whose motion is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.correspondence.views import enlarged, match, pair_errors, turn
from umt.data.pairs import PosedPair, PosedView
from umt.errors import UMTError

MOTION = np.array([[0, 0, 1, 0.5], [0, 1, 0, -0.2], [-1, 0, 0, 3.0]], np.float32)  # a quarter turn
CAMERA = np.array([[8, 0, 3], [0, 8, 2], [0, 0, 1]], np.float32)
PAIR = PosedPair("a-b", (Path("a"), Path("b")), MOTION, lambda *_: None)  # type: ignore[arg-type, return-value]
COUNT = 9


def drawn(seed: int, channels: int = 5) -> tuple[Tensor, PosedView]:
    """A map of 3x4 cells, and points at 6x8 places, a third of them without a depth."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(3, 6, 8)).astype(np.float32)
    points[2] = np.where(rng.uniform(size=(6, 8)) < 0.3, 0, np.abs(points[2]) + 1)
    fmap = torch.from_numpy(rng.normal(size=(channels, 3, 4)).astype(np.float32))
    return fmap, PosedView(torch.zeros(3, 6, 8, dtype=torch.uint8), points, CAMERA)


def reference(
    source: tuple[Tensor, PosedView], target: tuple[Tensor, PosedView], mode: str
) -> list[tuple[float, float]]:
    """The errors of the best matches in space and image, each step of the published evaluation written out."""

    def points_of(fmap: Tensor, view: PosedView) -> list[tuple[np.ndarray, np.ndarray]]:
        features = F.interpolate(fmap.double()[None], size=(6, 8), mode=mode)[0].numpy()
        cells = [(y, x) for y in range(6) for x in range(8) if view.points[2, y, x] > 0]
        return [(view.points[:, y, x].astype(float), features[:, y, x]) for y, x in cells]

    def similarity(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def pixel(point: np.ndarray) -> np.ndarray:
        x, y, z = CAMERA.astype(float) @ point
        return np.array([x, y]) / max(z, 1e-9)

    matches = []
    for point, feature in points_of(*source):
        distances = [(1 - similarity(feature, candidate), other) for other, candidate in points_of(*target)]
        (nearest, other), (second, _) = sorted(distances, key=lambda entry: entry[0])[:2]
        moved = MOTION[:, :3].astype(float) @ point + MOTION[:, 3]
        errors = (float(np.linalg.norm(moved - other)), float(np.linalg.norm(pixel(moved) - pixel(other))))
        matches.append((1 - nearest / second, errors))
    return [errors for _, errors in sorted(matches, key=lambda entry: -entry[0])[:COUNT]]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_errors_equal_the_formulas(mode: str) -> None:
    source, target = drawn(1), drawn(2)
    errors = pair_errors((source[0], target[0]), (source[1], target[1]), PAIR, COUNT, mode)
    metres, pixels = zip(*reference(source, target, mode), strict=True)
    np.testing.assert_allclose(errors.metres, metres, rtol=2e-4)
    np.testing.assert_allclose(errors.pixels, pixels, rtol=2e-3)


@pytest.mark.parametrize("blind", [0, 1])
def test_a_view_without_a_depth_is_named(blind: int) -> None:
    (first, source), (second, target) = drawn(1), drawn(2)
    (source, target)[blind].points[2] = 0
    with pytest.raises(UMTError, match=f"{'ab'[blind]}: no point of the image has a depth"):
        pair_errors((first, second), (source, target), PAIR, COUNT, "bilinear")


def test_features_that_know_their_point_have_no_error() -> None:
    """Features of the target are its points; those of the source are where its points move to."""
    _, view = drawn(3)
    target_points = np.abs(np.random.default_rng(4).normal(size=(3, 6, 8))).astype(np.float32) + 1
    source_points = np.einsum("ij,jhw->ihw", MOTION[:, :3].T, target_points - MOTION[:, 3, None, None])
    source_points = source_points.astype(np.float32)
    count = int((source_points[2] > 0).sum())
    assert count > 1
    maps = torch.from_numpy(target_points), torch.from_numpy(target_points)
    seen = [PosedView(view.pixels, points, CAMERA) for points in (source_points, target_points)]
    errors = pair_errors(maps, (seen[0], seen[1]), PAIR, COUNT, "bilinear")
    assert len(errors.metres) == min(COUNT, count)
    assert errors.metres.max() < 1e-4
    assert errors.pixels.max() < 1e-3


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("grid", [(7, 11), (3, 4), (2, 3)])
def test_maps_are_enlarged_as_by_torch(mode: str, grid: tuple[int, int]) -> None:
    fmap = torch.randn((2, 3, 4), generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(fmap[None], size=grid, mode=mode)[0]
    torch.testing.assert_close(enlarged(fmap, grid, mode), expected)


def test_the_surest_match_comes_first() -> None:
    target = torch.eye(3).reshape(3, 1, 3)
    source = torch.tensor([[1.0, 0.9, 0.0], [0.0, 0.0, 5.0]]).T.reshape(3, 1, 2)  # between two, and one exactly
    measured = torch.ones((1, 2), dtype=torch.bool), torch.ones((1, 3), dtype=torch.bool)
    matches = match((source, target), measured, 2, "bilinear")
    assert matches.source.tolist() == [1, 0]
    assert matches.target.tolist() == [2, 0]


def test_a_feature_of_zeros_is_equally_far_from_all() -> None:
    target = torch.eye(3).reshape(3, 1, 3)
    source = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 5.0]]).T.reshape(3, 1, 2)
    measured = torch.ones((1, 2), dtype=torch.bool), torch.ones((1, 3), dtype=torch.bool)
    assert match((source, target), measured, 1, "bilinear").source.tolist() == [1]


def test_turns_are_angles_of_rotations() -> None:
    assert turn(MOTION) == pytest.approx(90)
    assert turn(np.eye(3, 4)) == 0
