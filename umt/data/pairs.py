"""Pairs of images, and what is known of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Pair(Protocol):
    """Anything that is known of two images."""

    @property
    def images(self) -> tuple[Path, Path]:
        """Source and target."""


@dataclass(frozen=True)
class KeypointPair:
    """Two images of a class, source and target, and the keypoints that both show, in pixels."""

    name: str
    category: str
    images: tuple[Path, Path]
    sizes: tuple[tuple[int, int], tuple[int, int]]  # width, height
    points: tuple[np.ndarray, np.ndarray]  # x, y [K, 2]
    box: tuple[float, float, float, float]  # left, top, right, bottom of the target's object
    view_difference: int  # 0 to 2, as annotated


@dataclass(frozen=True)
class PosedView:
    """An image, and the points of a grid on it."""

    pixels: Tensor  # uint8 [3, H, W]
    points: np.ndarray  # float32 [3, h, w]: right, down, ahead of the camera in metres; ahead is 0 without a depth
    camera: np.ndarray  # float32 [3, 3]: from points to pixels of the grid


@dataclass(frozen=True)
class PosedPair:
    """Two images of one scene, source and target, and the motion between their cameras."""

    name: str
    images: tuple[Path, Path]
    motion: np.ndarray  # float32 [3, 4], from the source's camera to the target's
    load: Callable[
        [Path, tuple[int, int], tuple[int, int]], PosedView
    ]  # (image, its height and width, those of the grid)
