"""Keypoints found in another image: the cell whose feature is most similar to the feature at the keypoint.

The features of an image are computed once, and all keypoints that look into an image are one product of matrices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.data.pairs import KeypointPair
from umt.errors import unknown_name

CELLS = ("corners", "centres")


@dataclass(frozen=True)
class Canvas:
    """The square of `side` pixels that an image is scaled to, after white has filled it up at the right and below.

    cells: "corners" as probe3d has it: keypoints in whole pixels, sampled with aligned corners, and a cell stands for
    its upper left corner; or "centres": keypoints and features where they are, and a cell stands for its centre.
    Raises UMTError for any other word.
    """

    side: int
    cells: str

    def __post_init__(self) -> None:
        if self.cells not in CELLS:
            raise unknown_name("place of cells", self.cells, CELLS)

    def shares(self, points: np.ndarray, size: tuple[int, int]) -> Tensor:
        """Return points [K, 2] in pixels of an image (width, height) in shares of the square, float32."""
        scaled = torch.from_numpy(points.astype(np.float32)) * self.side / max(size)
        return (scaled.trunc() if self.cells == "corners" else scaled) / self.side

    def sampled(self, fmap: Tensor, points: Tensor) -> Tensor:
        """Return the features [K, C] of a map [C, H, W] at points [K, 2] in shares of the square, bilinearly."""
        grid = (2 * points - 1)[None, None].to(fmap.device)
        features = F.grid_sample(fmap[None], grid, mode="bilinear", align_corners=self.cells == "corners")
        return features[0, :, 0].T

    def nearest(self, queries: Tensor, fmap: Tensor) -> Tensor:
        """Return the points [K, 2] of the cells of a map [C, H, W] that are most similar to the queries [K, C]."""
        rows, columns = fmap.shape[1:]
        best = (queries @ fmap.flatten(1)).argmax(dim=1).cpu()
        cells = torch.stack((best % columns, best // columns), dim=1).float()
        offset = 0.0 if self.cells == "corners" else 0.5
        return (cells + offset) / torch.tensor((columns, rows))


def keypoint_errors(maps: dict[Path, Tensor], pairs: Sequence[KeypointPair], canvas: Canvas) -> list[np.ndarray]:
    """Return the error [K] of each keypoint of each pair, in shares of the longer side of the target's box.

    maps: features [C, H, W] of all images of the pairs, of norm 1.
    """
    positions = predicted(maps, pairs, canvas)
    return [errors_at(part, pair, canvas) for part, pair in zip(positions, pairs, strict=True)]


def errors_at(positions: Tensor, pair: KeypointPair, canvas: Canvas) -> np.ndarray:
    """Return the error [K] of the keypoints of a pair at such places [K, 2], as `keypoint_errors` does."""
    truth = canvas.shares(pair.points[1], pair.sizes[1])
    errors: np.ndarray = (torch.linalg.vector_norm(positions - truth, dim=1) / _box_share(pair)).numpy()
    return errors


def predicted(maps: dict[Path, Tensor], pairs: Sequence[KeypointPair], canvas: Canvas) -> list[Tensor]:
    """Return the places [K, 2] of the keypoints of each pair in its target, in shares of the square."""
    queries: list[Tensor] = [torch.empty(0)] * len(pairs)
    positions: list[Tensor] = [torch.empty(0)] * len(pairs)
    for image, numbers in _by_image(pairs, 0).items():
        points = [canvas.shares(pairs[number].points[0], pairs[number].sizes[0]) for number in numbers]
        _deal(queries, numbers, points, canvas.sampled(maps[image], torch.cat(points)))
    for image, numbers in _by_image(pairs, 1).items():
        parts = [queries[number] for number in numbers]
        _deal(positions, numbers, parts, canvas.nearest(torch.cat(parts), maps[image]))
    return positions


def _by_image(pairs: Sequence[KeypointPair], side: int) -> dict[Path, list[int]]:
    """Return the numbers of the pairs with each image as source (0) or target (1)."""
    numbers: dict[Path, list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        numbers[pair.images[side]].append(number)
    return numbers


def _deal(out: list[Tensor], numbers: Sequence[int], parts: Sequence[Tensor], rows: Tensor) -> None:
    """Give each pair as many of the rows as its part has."""
    for number, share in zip(numbers, rows.split([len(part) for part in parts]), strict=True):
        out[number] = share


def _box_share(pair: KeypointPair) -> float:
    left, top, right, bottom = pair.box
    return max(right - left, bottom - top) / max(pair.sizes[1])
