"""Images with an annotation each, in the folders of a split, as the layouts of both dense sets have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def pair_folders(folder: Path, split: str) -> tuple[Path, Path]:
    """Make the folders of a split, for images and for annotations."""
    images, annotations = folder / "images" / split, folder / "annotations" / split
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    return images, annotations


def save_rgb(rgb: np.ndarray, path: Path) -> None:
    """Save an image as JPEG."""
    Image.fromarray(rgb).save(path, quality=92)


def save_depth(metres: np.ndarray, path: Path) -> None:
    """Save depth as 16-bit PNG in millimetres."""
    Image.fromarray(np.round(metres * 1000).astype(np.uint16)).save(path, compress_level=1)
