"""ImageNet-1k: one folder a WordNet id, in `train` and `val`."""

from __future__ import annotations

from pathlib import Path

from umt.data.contract import DatasetInfo, Sample
from umt.data.reading import class_images, subfolders
from umt.errors import LayoutError


def class_names(root: Path) -> list[str]:
    """Return WordNet ids in the order of the class indices, which is the sorted order."""
    return subfolders(root / "train")


def read(root: Path, split: str) -> list[Sample]:
    """List images in order of class and name; both splits must have the same class folders, or indices would shift."""
    names = class_names(root)
    different = sorted(set(names) ^ set(subfolders(root / split)))
    if different:
        raise LayoutError(
            f"{root}: class folder '{different[0]}' is in one of train and {split} only; complete the other"
        )
    folders = [root / split / name for name in names]
    return [Sample(folder / image, index) for index, folder in enumerate(folders) for image in class_images(folder)]


INFO = DatasetInfo(
    name="imagenet",
    title="ImageNet-1k",
    kind="classification",
    folder="imagenet",
    splits={"train": 1_281_167, "val": 50_000},
    classes=1000,
    source="get ILSVRC 2012 from https://www.image-net.org/download.php and put one folder of images for each "
    "WordNet id into train and val",
    read=read,
    class_names=class_names,
    ends=("n01440764", "n15075141"),
)
