"""Scanned handwritten digits as an ImageNet folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

SIDE = 64  # pixels; the scans have 8


def write_digits(folder: Path, count: int) -> None:
    """Write the first `count` of scikit-learn's 1,797 scans: first half `train`, second half `val`.

    The set is ordered by writer, so that the halves come from different people.
    """
    digits = load_digits()
    for index, (scan, digit) in enumerate(zip(digits.images[:count], digits.target[:count], strict=True)):
        target = folder / ("train" if index < count // 2 else "val") / f"digit_{digit}"
        target.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(np.round(scan * (255 / 16)).astype(np.uint8))  # scans have 17 levels
        grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB").save(target / f"scan_{index:04d}.png")


def write_inverted(
    folders_of: Callable[[Sequence[str]], Sequence[str]], folder: Path, count: int, border: int = 0
) -> None:
    """Write the last `count` scans with black and white exchanged, as a variant of the ImageNet folder beside them.

    folders_of: gives the folders of the classes from their names. border: pixels of a red border around each scan.
    """
    folders = folders_of([f"digit_{digit}" for digit in range(10)])
    digits = load_digits()
    last = zip(digits.images[-count:], digits.target[-count:], strict=True)
    for index, (scan, digit) in enumerate(last):
        target = folder / folders[digit]
        target.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(255 - np.round(scan * (255 / 16)).astype(np.uint8))
        scan = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")
        ImageOps.expand(scan, border, fill=(255, 0, 0)).save(target / f"scan_{index:04d}.png")


def write_corruptions(corruptions: Sequence[str], severities: Sequence[str], folder: Path, count: int) -> None:
    """Write the last scans in ImageNet-C's layout, `count` for all of it: a grey veil that grows with severity."""
    digits = load_digits()
    scans = max(1, count // (len(corruptions) * len(severities)))
    for corruption in corruptions:
        for severity in severities:
            for index in range(-scans, 0):
                target = folder / corruption / severity / f"digit_{digits.target[index]}"
                target.mkdir(parents=True, exist_ok=True)
                grey = digits.images[index] * (255 / 16) * (1 - int(severity) / 6) + 255 * int(severity) / 12
                image = Image.fromarray(np.round(grey).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                image.convert("RGB").save(target / f"scan_{-index:04d}.png")
