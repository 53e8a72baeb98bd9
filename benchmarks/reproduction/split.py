"""Real images in two parts, by links: images to distil on, and data sets of other classes to judge on."""

from __future__ import annotations

import json
from pathlib import Path

from umt.data.contract import MARKER
from umt.data.reading import subfolders
from umt.errors import MissingFileError

DISTIL = "distil"  # a folder for each class
JUDGE = "judge"  # a data root
NEEDED_FOLDERS = ("caltech101/101_ObjectCategories", "imagenet_1k_samples/val", "imagenet_det200_mini/train",
          "cub10_2010_photos/CUB_200_2011", "cifar10_mini/train", "cifar10_mini/test")  # fmt: skip
TITLES = {
    "caltech101/101_ObjectCategories": "Caltech-101, every second class",
    "CUB_200_2011": "CUB-200 (2010), 10 species",
    "imagenet": "CIFAR-10, 1500 images",
}


def make_split(source: Path, out: Path) -> None:
    """Link every first class of Caltech-101 and all ImageNet photos into `distil`, the rest into `judge`."""
    for name in NEEDED_FOLDERS:
        if not (source / name).is_dir():
            raise MissingFileError(
                f"{source / name}: no such folder; --data is the folder that holds {', '.join(NEEDED_FOLDERS)}"
            )
    caltech = source / "caltech101" / "101_ObjectCategories"
    classes = [name for name in subfolders(caltech) if name != "BACKGROUND_Google"]
    for name in classes[::2]:
        _link(caltech / name, out / DISTIL / f"caltech-{name}")
    for folder in ("imagenet_1k_samples/val", "imagenet_det200_mini/train"):
        for name in subfolders(source / folder):
            _link(source / folder / name, out / DISTIL / f"{folder.partition('/')[0]}-{name}")
    for name in classes[1::2]:
        _link(caltech / name, out / JUDGE / "caltech101" / "101_ObjectCategories" / name)
    for path in (source / "cub10_2010_photos" / "CUB_200_2011").iterdir():
        _link(path, out / JUDGE / "CUB_200_2011" / path.name)
    for split, source_split in (("train", "train"), ("val", "test")):
        _link(source / "cifar10_mini" / source_split, out / JUDGE / "imagenet" / split)
    for folder, title in TITLES.items():
        (out / JUDGE / folder / MARKER).write_text(json.dumps({"title": title}) + "\n", encoding="utf-8")


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name != MARKER and not target.is_symlink():
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
