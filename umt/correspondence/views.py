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

SOURCE_ROWS = 2048  # points that look at a time: 150 MiB of similarities to 19,200 others
SMALLEST = 1e-9  # distance, and depth, below which a ratio means nothing


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
    return F.interpolate(fmap[None], size=grid, mode=mode)[0]


def match(source: Tensor, target: Tensor, count: int) -> Matches:
    """Match features [P, C] to [Q, C] by cosine similarity; keep the `count` whose two best distances differ most."""
    units = F.normalize(target, dim=1)
    blocks = [_two_nearest(block, units) for block in F.normalize(source, dim=1).split(SOURCE_ROWS)]
    weights, nearest = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    _, rows = weights.topk(min(count, len(weights)))
    return Matches(rows, nearest[rows])


def _two_nearest(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weight of each match [P], 0 for two equally near neighbours and 1 for a perfect match, and its row."""
    similarities, rows = (source @ target.T).topk(2)
    distances = (1 - similarities).clamp(min=SMALLEST)
    return 1 - distances[:, 0] / distances[:, 1], rows[:, 0]


def pair_errors(
    maps: tuple[Tensor, Tensor], views: tuple[PosedView, PosedView], pair: PosedPair, count: int, mode: str
) -> MatchErrors:
    """Return the errors of the best matches of two views with maps [C, H, W]."""
    source, target = (_points_and_features(fmap, view, mode) for fmap, view in zip(maps, views, strict=True))
    matches = match(source[1], target[1], count)
    motion = torch.from_numpy(pair.motion)
    moved = source[0][matches.source.cpu()] @ motion[:, :3].T + motion[:, 3]
    truth = target[0][matches.target.cpu()]
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


def _points_and_features(fmap: Tensor, view: PosedView, mode: str) -> tuple[Tensor, Tensor]:
    """Return the points [N, 3] of a view that have a depth, and their features [N, C]."""
    points = torch.from_numpy(view.points)
    measured = points[2] > 0
    features = enlarged(fmap, (points.shape[1], points.shape[2]), mode)
    return points[:, measured].T, features[:, measured.to(fmap.device)].T
