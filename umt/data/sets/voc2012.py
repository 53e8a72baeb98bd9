"""PASCAL VOC 2012, segmentation (Everingham et al. 2012): 20 classes and background, 255 is void."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.prepare.folders import build_folder
from umt.data.reading import listed_samples, read_table
from umt.data.targets.labels import UNLABELLED, VALUES, Labels
from umt.errors import DeclarationError

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
MASKS = {"trainaug": "SegmentationClassAug"}  # folder of the masks of a split, if it is not the official one
MINI_SEED = 40_000  # of the first rendered room: far from those of other sets
MINI_SIZE = (160, 120)  # width, height in pixels
ARCHIVE = Archive(
    "VOCtrainval_11-May-2012.tar",
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    md5="6cd6e144f989b92b3379bac3b3de84fd",  # as torchvision checks it
    files=100_000,
    gigabytes=5,
)


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, val) rooms of the embedded data; their tables and sofas are VOC's, other furniture is void."""
    from umt.data.mini.dense import save_rgb
    from umt.data.mini.rendered.furniture import OTHER_FURNITURE, SOFA, TABLE
    from umt.data.mini.rendered.rooms import render_room  # slow to import

    lists, images, masks = (folder / name for name in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"))
    for created in (lists, images, masks):
        created.mkdir(parents=True)
    codes = np.zeros(VALUES, np.uint8)
    codes[OTHER_FURNITURE], codes[TABLE], codes[SOFA] = UNLABELLED, *map(CLASSES.index, ("diningtable", "sofa"))
    names = [f"2012_{index:06d}" for index in range(sum(counts))]
    for index, name in enumerate(names):
        view = render_room(MINI_SEED + index, *MINI_SIZE)
        save_rgb(view.rgb, images / f"{name}.jpg")
        Image.fromarray(codes[view.labels]).save(masks / f"{name}.png")
    for split, listed in (("train", names[: counts[0]]), ("val", names[counts[0] :])):
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed))


def read(root: Path, split: str) -> list[Sample]:
    """List the images of a split with their masks, in the order of its list."""
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    names = [name for (name,) in read_table(path, 1)]
    images = listed_samples(root / "JPEGImages", [(f"{name}.jpg", 0) for name in names], path)
    masks = listed_samples(root / MASKS.get(split, "SegmentationClass"), [(f"{name}.png", 0) for name in names], path)
    return [replace(image, target=mask.image) for image, mask in zip(images, masks, strict=True)]


def variant(name: str, options: Mapping[str, Any]) -> DatasetInfo:
    """Return the set that `?train=aug` names: 10,582 training images, most with the masks of SBD."""
    if dict(options) != {"train": "aug"}:
        raise DeclarationError(f"data set '{name}': the only variant of {INFO.title} is 'voc2012?train=aug'")
    return replace(
        INFO,
        name=name,
        title="VOC 2012 aug",
        splits={"trainaug": 10_582, "val": 1449},
        roles=Roles("trainaug", "val"),
        source="beside the official set, ImageSets/Segmentation/trainaug.txt lists the training images, and "
        "SegmentationClassAug holds their masks, those of SBD (Hariharan et al. 2011) included",
        variant=None,
        parts=(),
    )


INFO = DatasetInfo(
    name="voc2012",
    title="VOC 2012",
    kind="segmentation",
    folder="VOCdevkit/VOC2012",
    splits={"train": 1464, "val": 1449},
    roles=Roles("train", "val"),
    classes=len(CLASSES),
    source="extract VOCtrainval_11-May-2012.tar from http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ into the data "
    "root, so that it holds JPEGImages, SegmentationClass and ImageSets/Segmentation",
    read=read,
    labels=Labels(tuple(range(len(CLASSES))), (UNLABELLED,)),
    label_names=CLASSES,
    variant=variant,
    parts=(Part("VOCdevkit/VOC2012", (ARCHIVE,), partial(build_folder, folder="VOCdevkit/VOC2012")),),
    gigabytes=2.0,  # the archive has 1,999,639,040 bytes
    mini=MiniVersion(
        "rooms V",
        (32, 12),  # train, val rooms
        write_mini,
        real="the photographs that surfaces are covered with, in VOC 2012's layout",
        rendered="images and class maps",
        example=False,
    ),
)
