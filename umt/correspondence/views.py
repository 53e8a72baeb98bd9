"""Points of a scene found in another view of it by their features, and the errors in space and in the image.

Every point of the source looks for its nearest neighbour; matches are ranked by the ratio of its two best distances, as
probe3d evaluates them (El Banani et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.data.pairs import PosedPair, PosedView
from umt.errors import DataError

SMALLEST = 1e-9  # distance, depth and length of a feature, below which a ratio means nothing


@dataclass(frozen=True)
class Matches:
    """Points of the source and of the target that belong together [M], the best first."""

    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class MatchErrors:
    """The distance of each match to the truth [M]: in metres, and in pixels of the target's grid."""

    metres: np.ndarray
    pixels: np.ndarray


def enlarged(fmap: Tensor, grid: tuple[int, int], mode: str) -> Tensor:
    """Return a map [C, H, W] at the points of a grid [C, h, w]; mode as in torch's `interpolate`."""
    rows, columns = (_weights(*sides, mode).to(fmap) for sides in zip(fmap.shape[1:], grid, strict=True))
    return rows @ (fmap @ columns.T)


def match(maps: tuple[Tensor, Tensor], measured: tuple[Tensor, Tensor], count: int, mode: str) -> Matches:
    """Match the measured points of two grids by the cosine similarity of maps [C, H, W] enlarged to them.

    measured: bool [h, w] of the source and of the target. Keeps the `count` matches whose two best distances differ
    most; matches count measured points alone, in the order of the grid.
    """
    source, target = maps
    height, width = measured[0].shape
    # Enlarging is linear, so similarities of cells are enlarged, not features: a product over a row's cells, not over
    # channels. Lengths are those of enlarged features; the source's changes no order, and is divided by at the end.
    cells = (source.flatten(1).T @ target.flatten(1)).unflatten(1, target.shape[1:])
    enlarged_cells = enlarged(cells, (measured[1].shape[0], measured[1].shape[1]), mode)[:, measured[1]]
    enlarged_cells = (enlarged_cells / _lengths(target, measured[1], mode)).unflatten(0, source.shape[1:])
    rows, columns = _weights(source.shape[1], height, mode), _weights(source.shape[2], width, mode)
    blocks = [
        _two_nearest(columns[inside].to(cells) @ _mixed(enlarged_cells, row))
        for row, inside in zip(rows, measured[0].cpu(), strict=True)
        if inside.any()
    ]
    best, second, nearest = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    lengths = _lengths(source, measured[0], mode)
    sure = 1 - _distance(best / lengths) / _distance(second / lengths)
    _, points = sure.topk(min(count, len(sure)))
    return Matches(points, nearest[points])


def _weights(cells: int, points: int, mode: str) -> Tensor:
    """Return the weights [points, cells] with which `interpolate` enlarges one side of a map."""
    return F.interpolate(torch.eye(cells)[None, None], size=(points, cells), mode=mode)[0, 0]


def _mixed(rows: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of rows [H, W, Q] with such weights [H], nearly all of them 0."""
    first, *following = weights.nonzero()[:, 0].tolist()
    mixed = rows[first] * weights[first].item()
    for row in following:
        mixed.add_(rows[row], alpha=weights[row].item())
    return mixed


def _lengths(fmap: Tensor, measured: Tensor, mode: str) -> Tensor:
    """Return the norm [N] of the features at the measured points of a grid [h, w]."""
    features = enlarged(fmap, (measured.shape[0], measured.shape[1]), mode)
    return torch.linalg.vector_norm(features, dim=0)[measured.to(fmap.device)].clamp(min=SMALLEST)


def _two_nearest(similarities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two greatest of each row of [P, Q], and the column of the greatest; twice `max` is half of `topk`."""
    best, nearest = similarities.max(dim=1)
    second = similarities.scatter_(1, nearest[:, None], -torch.inf).amax(dim=1)
    return best, second, nearest


def _distance(similarity: Tensor) -> Tensor:
    return (1 - similarity).clamp(min=SMALLEST)


def pair_errors(
    maps: tuple[Tensor, Tensor], views: tuple[PosedView, PosedView], pair: PosedPair, count: int, mode: str
) -> MatchErrors:
    """Return the errors of the best matches of two views with maps [C, H, W]; DataError if a view has no depth."""
    source, target = (torch.from_numpy(view.points) for view in views)
    measured = source[2] > 0, target[2] > 0
    for image, depths in zip(pair.images, measured, strict=True):
        if not depths.any():
            raise DataError(f"{image}: no point of the image has a depth; get its depth map again")
    matches = match(maps, measured, count, mode)
    motion = torch.from_numpy(pair.motion)
    moved = source[:, measured[0]].T[matches.source.cpu()] @ motion[:, :3].T + motion[:, 3]
    truth = target[:, measured[1]].T[matches.target.cpu()]
    camera = torch.from_numpy(views[1].camera)
    pixels = projected(moved, camera) - projected(truth, camera)
    return MatchErrors((moved - truth).norm(dim=1).numpy(), pixels.norm(dim=1).numpy())


def projected(points: Tensor, camera: Tensor) -> Tensor:
    """Return the pixels [N, 2] at which a camera [3, 3] sees points [N, 3]."""
    rays = points @ camera.T
    return rays[:, :2] / rays[:, 2:].clamp(min=SMALLEST)


def turn(motion: np.ndarray) -> float:
    """Return the angle in degrees by which a motion [3, 4] turns."""
    return float(np.degrees(np.arccos(np.clip((np.trace(motion[:, :3]) - 1) / 2, -1, 1))))
