"""Real images in three parts, by links: images to distil on, and data sets to choose by and to test on, once.

A fourth folder has the images to distil on as ImageNet beside the data sets to test on, for the suite in `tables/`.
"""

from __future__ import annotations

import json
from pathlib import Path

from umt.data.contract import MARKER
from umt.data.reading import class_images, subfolders
from umt.errors import MissingFileError

DISTIL = "distil"  # a folder for each class
TABLES = "tables"
PARTS = ("development", "test")  # data roots of the judging data; no class or photograph is in two of them
NEEDED_FOLDERS = ("caltech101/101_ObjectCategories", "imagenet_1k_samples/val", "imagenet_det200_mini/train",
          "cub10_2010_photos/CUB_200_2011", "cifar10_mini/train", "cifar10_mini/test",
          "nyuv2_mini/images/train", "nyu_as_ade150/images/training")  # fmt: skip
TITLES = {
    "caltech101/101_ObjectCategories": "Caltech-101, every fourth class",
    "CUB_200_2011": "CUB-200 (2010), 5 species",
    "imagenet": "CIFAR-10, 750 images",
    "nyu": "NYUv2, half of 240 pairs",
    "ADEChallengeData2016": "rooms of NYUv2, 33 classes",
}


def make_split(source: Path, out: Path) -> None:
    """Link every first class of Caltech-101 and all ImageNet photos into `distil`, halves of the rest into `PARTS`.

    The halves are other classes of Caltech-101, other species of birds, other images of CIFAR-10's classes, and other
    rooms: the first and the second half of NYUv2's numbers, in which frames of one scene follow each other.
    """
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
    for half, part in enumerate(PARTS):
        root = out / part
        for name in classes[1::2][half::2]:
            _link(caltech / name, root / "caltech101" / "101_ObjectCategories" / name)
        _link_birds(source / "cub10_2010_photos" / "CUB_200_2011", root / "CUB_200_2011", half)
        for split, source_split in (("train", "train"), ("val", "test")):
            _link_images(source / "cifar10_mini" / source_split, root / "imagenet" / split, half)
        for split in ("train", "test"):
            _link_half(source / "nyuv2_mini", root / "nyu", split, half)
        for split in ("training", "validation"):
            _link_half(source / "nyu_as_ade150", root / "ADEChallengeData2016", split, half)
        for folder, title in TITLES.items():
            (root / folder / MARKER).write_text(json.dumps({"title": title}) + "\n", encoding="utf-8")
    for split in ("train", "val"):  # the layout has both; only the first is read
        _link(out / DISTIL, out / TABLES / "imagenet" / split)
    for folder in TITLES.keys() - {"imagenet"}:
        _link(out / PARTS[1] / folder, out / TABLES / folder)


def _link_images(source: Path, target: Path, half: int) -> None:
    """Link every second image of each class."""
    for name in subfolders(source):
        for file in class_images(source / name)[half::2]:
            _link(source / name / file, target / name / file)


def _link_half(source: Path, target: Path, split: str, half: int) -> None:
    """Link the first or the second half of a split's images and annotations, in order of their names."""
    for kind in ("images", "annotations"):
        names = sorted(path.name for path in (source / kind / split).iterdir())
        middle = len(names) // 2
        for name in (names[:middle], names[middle:])[half]:
            _link(source / kind / split / name, target / kind / split / name)


def _link_birds(source: Path, target: Path, half: int) -> None:
    """Link every second species; the official lists are written anew, with numbers from 1."""
    classes = dict(line.split() for line in (source / "classes.txt").read_text(encoding="utf-8").splitlines())
    numbers = {old: str(number) for number, old in enumerate(list(classes)[half::2], 1)}
    lists = {
        name: dict(line.split() for line in (source / f"{name}.txt").read_text(encoding="utf-8").splitlines())
        for name in ("images", "image_class_labels", "train_test_split")
    }
    images = [image for image, label in lists["image_class_labels"].items() if label in numbers]
    lists["image_class_labels"] = {image: numbers[lists["image_class_labels"][image]] for image in images}
    target.mkdir(parents=True, exist_ok=True)
    for name, values in lists.items():
        text = "".join(f"{number} {values[image]}\n" for number, image in enumerate(images, 1))
        (target / f"{name}.txt").write_text(text, encoding="utf-8")
    text = "".join(f"{number} {classes[old]}\n" for old, number in numbers.items())
    (target / "classes.txt").write_text(text, encoding="utf-8")
    for old in numbers:
        _link(source / "images" / classes[old], target / "images" / classes[old])


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name != MARKER and not target.is_symlink():
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
