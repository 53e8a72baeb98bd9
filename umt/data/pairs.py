"""Pairs of images, and what is known of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


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
