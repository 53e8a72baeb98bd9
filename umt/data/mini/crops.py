"""Crops of photographs, one class a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from umt.data.mini.photos import NAMES, photo

# Shares of a photograph's width: no pixel is in two splits.
TRAIN, TRAIN_PART, VAL, TEST = (0.0, 0.5), (0.0, 0.35), (0.35, 0.5), (0.5, 1.0)


@dataclass(frozen=True)
class Cutter:
    """A cutter of square crops of `side` pixels, each shrunk or enlarged to `saved` pixels."""

    side: int
    saved: int
    seed: int

    def cut(self, name: str, share: tuple[float, float], count: int) -> list[Image.Image]:
        """Cut `count` crops at random places of a photograph, in the part that `share` of its width spans."""
        pixels = photo(name)
        left, right = (round(edge * pixels.shape[1]) for edge in share)
        rng = np.random.default_rng([self.seed, NAMES.index(name), left])
        xs = rng.integers(left, right - self.side + 1, count)
        ys = rng.integers(0, pixels.shape[0] - self.side + 1, count)
        return [self._save_size(pixels[y : y + self.side, x : x + self.side]) for x, y in zip(xs, ys, strict=True)]

    def _save_size(self, crop: np.ndarray) -> Image.Image:
        return Image.fromarray(crop).resize((self.saved, self.saved), Image.Resampling.BICUBIC)


def save(crop: Image.Image, path: Path) -> None:
    """Save a crop as JPEG."""
    crop.save(path, quality=95)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write the lines of a list of files or classes."""
    path.write_text("".join(f"{line}\n" for line in lines))
