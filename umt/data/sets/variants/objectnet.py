"""ObjectNet (Barbu et al. 2019): objects at home in odd places and poses; 113 of its 313 classes are ImageNet's.

Most of these are one class of ImageNet, some are several, and each of them is right. The authors drew a red border
around every image, and it is cut off.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import MiniVersion, Sample
from umt.data.reading import class_images, read_table
from umt.data.sets.variants import imagenet_variant, training_images
from umt.declarations import read_json
from umt.errors import DataError, LayoutError
from umt.files import component
from umt.text import brief

BORDER = 2  # pixels that the authors' loader cuts off
BOX = (BORDER, BORDER, -BORDER, -BORDER)
REMEDY = "extract the official archive again"
FOLDERS = "folder_to_objectnet_label.json"  # a folder: its class
OVERLAP = "objectnet_to_imagenet_1k.json"  # a class: names of ImageNet's classes, with semicolons between them
NUMBERS = "pytorch_to_imagenet_2012_id.json"  # the index of a class: its line, from 0, in the list of names
NAMES = "imagenet_to_label_2012_v2"
GET = "get it from https://objectnet.dev"
ARCHIVE = Archive("objectnet-1.0.zip", get=GET, files=110_000, gigabytes=380)


def read(root: Path, split: str) -> Sequence[Sample]:
    """List the images of a split, those of the overlapping classes in order of folder and name."""
    if split == "train":
        return training_images(root)
    return [
        Sample(root / "images" / folder / image, classes[0], BOX)
        for folder, classes in classes_of_folders(root).items()
        for image in class_images(root / "images" / folder)
    ]


def answers(samples: Sequence[Sample]) -> list[frozenset[int]]:
    """Return the classes that are right for each image, which are those of its folder."""
    by_root = {root: classes_of_folders(root) for root in {sample.image.parents[2] for sample in samples}}
    return [frozenset(by_root[sample.image.parents[2]][sample.image.parent.name]) for sample in samples]


def classes_of_folders(root: Path) -> dict[str, tuple[int, ...]]:
    """Return the indices of ImageNet's classes that are right in each folder that overlaps, in order of the folders."""
    mappings = root / "mappings"
    folders = {label: folder for folder, label in _read(mappings / FOLDERS).items()}
    indices = {line: index for index, line in _read(mappings / NUMBERS).items()}
    names = {name: indices.get(str(line)) for line, (name,) in enumerate(read_table(mappings / NAMES, 1))}
    overlap: dict[str, tuple[int, ...]] = {}
    for label, listed in _read(mappings / OVERLAP).items():
        classes = [names.get(name) for name in listed.split("; ")]
        if label not in folders or not all(index and index.isdecimal() for index in classes):
            raise DataError(f"{mappings / OVERLAP}: {brief(label)} is not in {FOLDERS}, {NUMBERS} or {NAMES}; {REMEDY}")
        overlap[component(folders[label])] = tuple(int(index) for index in classes if index)
    return dict(sorted(overlap.items()))


def _read(path: Path) -> dict[str, str]:
    """Read one of the mappings, of names and numbers."""
    try:
        return {name: str(value) for name, value in read_json(path, "a mapping of names", REMEDY).items()}
    except FileNotFoundError:
        raise LayoutError(f"{path}: file of the data set is missing; {REMEDY}") from None


def write_mini(folder: Path, count: int) -> None:
    """Write the last scanned digits in a red border; some folders stand for two digits, and one for none of them."""
    from umt.data.mini.digits import write_inverted  # slow to import

    pairs = {f"about_{first}": (first, first + 1) for first in (0, 4)}
    single = {f"only_{digit}": (digit,) for digit in (2, 3, 6, 7, 8)}
    homes = {digit: home for home, digits in {**pairs, **single, "no_class": (9,)}.items() for digit in digits}
    write_inverted(lambda names: [homes[digit] for digit in range(10)], folder / "images", count, BORDER)
    mappings = folder / "mappings"
    mappings.mkdir()
    names = [f"digit, {digit}" for digit in range(10)]
    labels = {path.name: path.name.replace("_", " ") for path in sorted((folder / "images").iterdir())}
    several = {home: digits for home, digits in {**pairs, **single}.items() if home in labels}
    overlap = {labels[home]: "; ".join(names[digit] for digit in digits) for home, digits in several.items()}
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]  # of the list of names
    numbers = {str(digit): line for line, digit in enumerate(order)}
    for file, content in ((FOLDERS, labels), (OVERLAP, overlap), (NUMBERS, numbers)):
        (mappings / file).write_text(json.dumps(content))
    (mappings / NAMES).write_text("".join(f"{names[digit]}\n" for digit in order))


INFO = replace(
    imagenet_variant("objectnet", "ObjectNet", ARCHIVE, "objectnet-1.0", images=18_574, number=7),
    read=read,
    answers=answers,
    source=f"extract {ARCHIVE.name} there ({GET}), so that it holds images and mappings, and put ImageNet-1k into "
    "imagenet beside it",
    mini=MiniVersion(
        "digits 7",
        200,  # scans
        write_mini,
        real="the last of these digits, black and white exchanged, in a red border, in ObjectNet's layout",
        example=False,
    ),
)
