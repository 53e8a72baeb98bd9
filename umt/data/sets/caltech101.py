"""Caltech-101 (Fei-Fei et al. 2004), which has no official split: 30 images a class are drawn to train on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from umt.data.contract import DatasetInfo, Sample
from umt.data.draw import Draw
from umt.data.reading import class_images, subfolders
from umt.errors import TooFewError

BACKGROUND = "BACKGROUND_Google"  # images of nothing in particular, which published code keeps as a 102nd class
USUAL = Draw()


def class_names(draw: Draw, root: Path) -> list[str]:
    """Return the 101 categories in sorted order, and the background folder before them if the draw includes it."""
    return [name for name in subfolders(root) if name != BACKGROUND or draw.background == "in"]


def read(draw: Draw, root: Path, split: str) -> list[Sample]:
    """List images in order of class and name: those that are drawn for `train`, all others for `test`."""
    names = class_names(draw, root)
    images = {name: _enough(root / name, draw.per_class) for name in names}
    drawn = draw.drawn(images)
    if split == "test":
        drawn = {name: sorted(set(images[name]).difference(drawn[name])) for name in names}
    return [Sample(root / name / image, index) for index, name in enumerate(names) for image in drawn[name]]


def _enough(folder: Path, per_class: int) -> list[str]:
    images = class_images(folder)
    if len(images) <= per_class:
        raise TooFewError(
            f"{folder}: {len(images)} images, {per_class} to train and at least one to test are needed; "
            "extract the official archive again"
        )
    return images


def redrawn(draw: Draw) -> DatasetInfo:
    """Return the same set as another draw splits it."""
    if draw == USUAL:
        return INFO
    classes = INFO.classes
    if draw.background == "in" and classes is not None:
        classes += 1
    return replace(
        INFO,
        classes=classes,
        read=partial(read, draw),
        class_names=partial(class_names, draw),
        ends=None,
        declared=INFO,
    )


INFO = DatasetInfo(
    name="caltech101",
    title="Caltech-101",
    kind="classification",
    folder="caltech101/101_ObjectCategories",
    splits={"train": 3030, "test": 5647},
    classes=101,
    source="extract 101_ObjectCategories.tar.gz from https://data.caltech.edu/records/mzrjq-6wc02 into caltech101",
    read=partial(read, USUAL),
    class_names=partial(class_names, USUAL),
    ends=("Faces", "yin_yang"),
    redrawn=redrawn,
)
