"""The images that decide between two backbones, if the data are here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from reports.comparison.data import dataset_of
from reports.comparison.deciding import Decision
from reports.figures.figure import Figure
from reports.figures.image_sheet import image_sheet
from reports.figures.style import short_names
from umt.data.images import decode_rgb
from umt.errors import UMTError
from umt.files import below


def deciding_images(decision: Decision, data_root: Path, name: str) -> Figure | None:
    """Draw the images that speak most for either backbone; None if they are not below the data root."""
    images = list(_images(decision, data_root))
    if not images:
        return None
    title = f"Deciding images of {decision.column.heading}"
    return image_sheet(name, title, f"Above 0: the value of {decision.first} is higher for it.", images)


def _images(decision: Decision, data_root: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the images that are there and can be read: names and data sets come out of result files."""
    dataset = dataset_of(decision.column.example, data_root)
    if dataset is None:
        return
    names = short_names([part.name for part in decision.top_items])  # a whole one would break inside a word
    for part, name in zip(decision.top_items, names, strict=True):
        try:
            pixels = np.asarray(decode_rgb(below(dataset.root, part.name, links=True)))
        except UMTError:
            continue
        yield f"{part.effect:+.3f} {name}", pixels
