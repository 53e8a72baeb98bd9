"""Keypoints by nearest features against the formulas, written out in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from umt.correspondence.keypoints import Canvas, keypoint_errors, predicted
from umt.data.pairs import KeypointPair
from umt.errors import UnknownNameError

A, B, C = (Path(name) for name in "abc")
SIDE = 96
MAPS = {path: F.normalize(torch.from_numpy(np.random.default_rng(index).normal(size=(8, 6, 6))).float(), dim=0)
        for index, path in enumerate((A, B, C))}  # fmt: skip


def pair(source: Path, target: Path, keypoints: int) -> KeypointPair:
    rng = np.random.default_rng(keypoints)
    points = (rng.uniform(0, 59, (keypoints, 2)), rng.uniform(0, 59, (keypoints, 2)))
    return KeypointPair("1-a-b:cat", "cat", (source, target), ((60, 80), (90, 60)), points, (10, 5, 40, 55), 0)


PAIRS = [pair(A, B, 5), pair(B, A, 3), pair(A, C, 1), pair(C, B, 0), pair(C, A, 7)]


def bilinear(fmap: np.ndarray, column: float, row: float) -> np.ndarray:
    """Weigh the four cells around a place; outside of the map everything is 0."""
    feature = np.zeros(fmap.shape[0])
    for y in (int(np.floor(row)), int(np.floor(row)) + 1):
        for x in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= x < fmap.shape[2] and 0 <= y < fmap.shape[1]:
                feature += (1 - abs(column - x)) * (1 - abs(row - y)) * fmap[:, y, x]
    return feature


def reference(pair: KeypointPair, cells: str) -> list[float]:
    source, target = (MAPS[path].double().numpy() for path in pair.images)
    width = target.shape[2]
    errors = []
    for start, end in zip(*pair.points, strict=True):
        shares = [point * SIDE / max(size) for point, size in zip((start, end), pair.sizes, strict=True)]
        if cells == "corners":
            shares = [np.trunc(share) for share in shares]
        (x, y), truth = shares[0] / SIDE, shares[1] / SIDE
        places = (x * (width - 1), y * (width - 1)) if cells == "corners" else (x * width - 0.5, y * width - 0.5)
        query = bilinear(source, *places)
        row, column = divmod(int(np.einsum("c,chw->hw", query, target).argmax()), width)
        offset = 0 if cells == "corners" else 0.5
        place = np.array((column + offset, row + offset)) / width
        errors.append(float(np.linalg.norm(place - truth)) / (50 / 90))
    return errors


@pytest.mark.parametrize("cells", ["corners", "centres"])
def test_errors_equal_the_formula(cells: str) -> None:
    errors = keypoint_errors(MAPS, PAIRS, Canvas(SIDE, cells))
    for one, errors_of_pair in zip(PAIRS, errors, strict=True):
        np.testing.assert_allclose(errors_of_pair, reference(one, cells), rtol=2e-6)


def test_centres_of_cells_find_themselves() -> None:
    cells = (np.stack(np.meshgrid(range(6), range(6)), axis=-1).reshape(-1, 2) + 0.5) * 10
    same = replace(pair(A, A, 36), sizes=((60, 60), (60, 60)), points=(cells, cells))
    assert keypoint_errors(MAPS, [same], Canvas(SIDE, "centres"))[0].max() < 1e-6
    [places] = predicted(MAPS, [same], Canvas(SIDE, "centres"))
    np.testing.assert_allclose(places.numpy() * 60, cells, rtol=1e-6)


def test_other_pairs_change_nothing() -> None:
    canvas = Canvas(SIDE, "corners")
    together = keypoint_errors(MAPS, PAIRS, canvas)
    for one, errors in zip(PAIRS, together, strict=True):
        np.testing.assert_array_equal(keypoint_errors(MAPS, [one], canvas)[0], errors)


def test_an_unknown_place_of_cells_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="place of cells"):
        Canvas(SIDE, "corner")
