"""Other test images for classifiers of ImageNet: they train on `imagenet` beside them, and keep its class indices."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles, Sample
from umt.data.layouts import gathered
from umt.data.reading import class_images, subfolders
from umt.data.sets import imagenet
from umt.errors import DataError, LayoutError

TRAIN = imagenet.INFO.splits["train"]
LEVELS = 3  # folders above the test images that may hold `imagenet`


def imagenet_variant(
    name: str,
    title: str,
    archive: Archive,
    folder: str,
    images: int,
    classes_of: Callable[[Sequence[str]], Sequence[str]] = tuple,
) -> DatasetInfo:
    """Return the declaration of a set with a folder of test images for each of ImageNet's classes, or of some.

    classes_of: the folders of ImageNet's classes, in their order; by default they are called as ImageNet calls them.
    """
    return DatasetInfo(
        name=name,
        title=title,
        kind="classification",
        folder=folder,
        splits={"train": TRAIN, "test": images},
        roles=Roles("train", "test"),
        classes=1000,
        source=f"extract {archive.name} there ({archive.remedy}), and put ImageNet-1k into imagenet beside it",
        read=partial(_read, classes_of),
        class_names=class_names,
        ends=imagenet.INFO.ends,
        spoken=imagenet.spoken,
        parts=(gathered(folder, archive),),
        gigabytes=archive.gigabytes / 2,
    )


def class_names(root: Path) -> list[str]:
    """Return ImageNet's classes in the order of their indices."""
    return imagenet.class_names(imagenet_root(root))


def training_images(root: Path) -> list[Sample]:
    """List the images that ImageNet's classifiers train on."""
    return imagenet.read(imagenet_root(root), "train")


def imagenet_root(root: Path) -> Path:
    """Return the folder of ImageNet beside a variant, by a path from the variant's own: fingerprints name no other."""
    for above in root.parents[:LEVELS]:
        if (above / imagenet.INFO.folder).is_dir():
            return root / os.path.relpath(above / imagenet.INFO.folder, root)
    raise LayoutError(f"{root}: ImageNet-1k is not beside it; put it, or a link to it, into {root.parent / 'imagenet'}")


def _read(classes_of: Callable[[Sequence[str]], Sequence[str]], root: Path, split: str) -> list[Sample]:
    """List the images of a split in order of class and name; a class without a folder has no test image."""
    if split == "train":
        return training_images(root)
    labels = {folder: label for label, folder in enumerate(classes_of(class_names(root)))}
    folders = subfolders(root)
    unknown = next((name for name in folders if name not in labels), None)
    if unknown is not None:
        raise DataError(f"{root / unknown}: is no class of ImageNet-1k beside it; complete that, or remove the folder")
    samples = [Sample(root / name / image, labels[name]) for name in folders for image in class_images(root / name)]
    return sorted(samples, key=lambda sample: (sample.target, sample.image))
