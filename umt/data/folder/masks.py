"""Any folder of images with masks as a data set: `folder:PATH?classes=11`, an image and a mask for each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from umt.data.contract import DatasetInfo, Roles, Sample
from umt.data.reading import annotated_pairs
from umt.data.targets.labels import UNLABELLED, VALUES, Labels
from umt.declarations import build
from umt.errors import DeclarationError, LayoutError

OPTION = "classes"
LAYOUTS = (("images/{}", "annotations/{}"), ("{}", "{}annot"))  # of ADE20K, and of CamVid: images and masks of a split
TRAIN, REPORT = ("training", "train"), ("validation", "val", "test")
LAYOUT_WORDS = "images/train and annotations/train, or train and trainannot, and the same with val"


@dataclass(frozen=True)
class MaskValues:
    """The values of masks: 0 to `classes` - 1 are classes, others are void."""

    classes: int

    def __post_init__(self) -> None:
        if not 1 < self.classes <= UNLABELLED:
            raise DeclarationError(f"classes={self.classes} of a folder of masks; take 2 to {UNLABELLED}")

    @property
    def labels(self) -> Labels:
        """The values of the classes, and those of void pixels."""
        return Labels(tuple(range(self.classes)), tuple(range(self.classes, VALUES)))


def masks_info(name: str, root: Path, options: Mapping[str, Any]) -> DatasetInfo:
    """Return the declaration of the images and masks at `root`, under the name.

    Raises UMTError if there is no split to train on or none to test on, or if an option is wrong.
    """
    values = build(MaskValues, dict(options), f"data set '{name}'")
    train, report = (next(_present(root, names), None) for names in (TRAIN, REPORT))
    if train is None or report is None:
        raise LayoutError(f"{root}: lacks images with masks; put them into {LAYOUT_WORDS}")
    layouts = {split: layout for split, *layout in (train, report)}
    return DatasetInfo(
        name=name,
        title=root.name,
        kind="segmentation",
        folder=str(root),
        splits=dict.fromkeys(layouts, 0),
        roles=Roles(train[0], report[0]),
        classes=values.classes,
        source=f"put images and masks of the same names into {LAYOUT_WORDS}",
        read=partial(read_masks, layouts),
        labels=values.labels,
        label_names=tuple(f"class {value}" for value in range(values.classes)),
    )


def read_masks(layouts: Mapping[str, list[str]], root: Path, split: str) -> list[Sample]:
    """List the images of a split in order of name, each with its mask."""
    images, masks = (root / template.format(split) for template in layouts[split])
    return annotated_pairs(images, masks)


def _present(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield the splits of these names that the folder has, each with the places of its images and masks."""
    for name in names:
        for images, masks in LAYOUTS:
            if (root / images.format(name)).is_dir() and (root / masks.format(name)).is_dir():
                yield name, images, masks
