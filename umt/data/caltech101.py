"""Caltech-101 (Fei-Fei et al. 2004) with the usual 30 training images a class, drawn once and for all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from umt.data.layouts import class_images, subfolders
from umt.data.registry import DatasetInfo, Sample
from umt.errors import TooFewError

BACKGROUND = "BACKGROUND_Google"  # images of nothing in particular, which published code keeps as a 102nd class
TRAIN_PER_CLASS = 30


def class_names(root: Path) -> list[str]:
    """The 101 categories in sorted order; the background folder is none."""
    return [name for name in subfolders(root) if name != BACKGROUND]


def read(root: Path, split: str) -> list[Sample]:
    """Images in order of class and name: the draw for `train`, all others for `test`."""
    return [
        Sample(root / name / image, index)
        for index, name in enumerate(class_names(root))
        for image in _of_split(root / name, split)
    ]


def draw(category: str, images: Sequence[str]) -> set[str]:
    """The 30 training images of a category, without replacement.

    The first 30 by SHA-256 of `category/image`: the same on every machine, in any order of the files, and where
    other images are missing.
    """
    return set(
        sorted(images, key=lambda image: hashlib.sha256(f"{category}/{image}".encode()).digest())[:TRAIN_PER_CLASS]
    )


def _of_split(folder: Path, split: str) -> list[str]:
    images = class_images(folder)
    if len(images) <= TRAIN_PER_CLASS:
        raise TooFewError(
            f"{folder}: {len(images)} images, {TRAIN_PER_CLASS} to train and at least one to test are needed; "
            "extract the official archive again"
        )
    train = draw(folder.name, images)
    return [image for image in images if (image in train) == (split == "train")]


INFO = DatasetInfo(
    name="caltech101",
    title="Caltech-101",
    kind="classification",
    folder="caltech101/101_ObjectCategories",
    splits={"train": 3030, "test": 5647},
    classes=101,
    source="extract 101_ObjectCategories.tar.gz from https://data.caltech.edu/records/mzrjq-6wc02 into caltech101",
    read=read,
    class_names=class_names,
    ends=("Faces", "yin_yang"),
)
