"""Crops of photographs in the layouts of images with a class each: one writer, and a declaration of each layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from umt.data.contract import DatasetInfo
from umt.data.folder import StratifiedSplit
from umt.data.mini.crops import TEST, TRAIN_PART, VAL, Cutter
from umt.data.mini.photos import NAMES
from umt.data.registry import dataset_info
from umt.data.sets.labelled import cars, dtd, flowers102, food101, pets, places365, sun397

CLASSES = NAMES[::4]  # photographs
PLACES = tuple(f"{name[0]}/{name}" for name in CLASSES)  # as SUN397 and Places365 call their classes
MATLAB_TEXT = b"MATLAB 5.0 MAT-file".ljust(116)  # bytes before the version
SIDE, SAVED = 64, 96  # pixels of a crop in its photograph, and in its file


@dataclass(frozen=True)
class Crop:
    """An image to write, and the values that fill the templates of paths and of lines."""

    split: str
    name: str  # of the class
    label: int  # of the class, from 0
    index: int  # of the image, from 1

    def fill(self, template: str) -> str:
        """Return a path, or a line of a list."""
        values = {"split": self.split, "name": self.name, "label": self.label}
        return template.format(**values, number=self.label + 1, stem=f"{self.index:05d}")


@dataclass(frozen=True)
class WrittenLayout:
    """The place of an image of each split, or of any; the lists that name it; and the list of the classes."""

    image: str | Mapping[str, str]
    lists: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by split: a file, and the line of an image
    names: tuple[str, str] | None = None  # a file, and the line of a class
    classes: Sequence[str] = CLASSES
    finish: Callable[[Path, Sequence[Crop]], None] | None = None  # writes lists that are no text

    def path(self, crop: Crop) -> str:
        """Return the place of an image below the data set's folder."""
        return crop.fill(self.image if isinstance(self.image, str) else self.image[crop.split])


def write_labelled(name: str, folder: Path, counts: tuple[int, int]) -> None:
    """Write (training, test) crops of some photographs in the layout of a data set; as many select as test."""
    info, layout = dataset_info(name), LAYOUTS[name]
    crops = _planned(info, layout, counts)
    for crop, image in zip(crops, _cut(info, layout, crops), strict=True):
        path = folder / layout.path(crop)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    for split, (file, line) in layout.lists.items():
        _write_lines(folder / file, [crop.fill(line) for crop in crops if crop.split == split])
    if layout.names:
        file, line = layout.names
        _write_lines(folder / file, [crop.fill(line) for crop in {crop.name: crop for crop in crops}.values()])
    if layout.finish:
        layout.finish(folder, crops)


def _planned(info: DatasetInfo, layout: WrittenLayout, counts: tuple[int, int]) -> list[Crop]:
    """Return the crops in order of class and split; for a set without splits, those that the usual draw takes."""
    splits = [split for split in info.splits for _ in range(counts[split != info.roles.train])]
    crops = [
        Crop(split, name, label, label * len(splits) + index)
        for label, name in enumerate(layout.classes)
        for index, split in enumerate(splits, start=1)
    ]
    return _split_by_draw(layout, crops) if info.drawn else crops


def _split_by_draw(layout: WrittenLayout, crops: Sequence[Crop]) -> list[Crop]:
    files: dict[str, list[str]] = {}
    for crop in crops:
        files.setdefault(crop.name, []).append(Path(layout.path(crop)).name)
    test = {name: StratifiedSplit().take(name, names, "test") for name, names in files.items()}
    crops = [
        Crop("test" if Path(layout.path(crop)).name in test[crop.name] else "train", crop.name, crop.label, crop.index)
        for crop in crops
    ]
    return sorted(crops, key=lambda crop: (crop.label, crop.split))


def _cut(info: DatasetInfo, layout: WrittenLayout, crops: Sequence[Crop]) -> Iterator[Image.Image]:
    """Yield the crops; each split has its own part of a photograph."""
    shares = {info.roles.train: TRAIN_PART, info.roles.report: TEST, info.roles.select: VAL}
    cutter = Cutter(SIDE, SAVED, seed=5 + sorted(LAYOUTS).index(info.name))
    for (label, split), group in groupby(crops, lambda crop: (crop.label, crop.split)):
        yield from cutter.cut(CLASSES[label], shares[split], len(list(group)))


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _save_matlab(path: Path, values: dict[str, Any]) -> None:
    """Write a MATLAB file without the time in its header, so that two writes give equal bytes."""
    from scipy.io import savemat  # slow to import

    file = BytesIO()
    savemat(file, values)
    path.write_bytes(MATLAB_TEXT + file.getvalue()[len(MATLAB_TEXT) :])


def _write_flowers(folder: Path, crops: Sequence[Crop]) -> None:
    labels = {crop.index: crop.label + 1 for crop in crops}
    _save_matlab(folder / "imagelabels.mat", {"labels": [labels[index] for index in sorted(labels)]})
    splits = {
        field: [crop.index for crop in crops if crop.split == split] for split, field in flowers102.FIELDS.items()
    }
    _save_matlab(folder / "setid.mat", splits)


def _write_cars(folder: Path, crops: Sequence[Crop]) -> None:
    (folder / "devkit").mkdir()
    _save_matlab(folder / "devkit" / "cars_meta.mat", {"class_names": np.array(CLASSES, dtype=object)})
    for split, file in cars.ANNOTATIONS.items():
        rows = [(crop.label + 1, f"{crop.index:05d}.jpg") for crop in crops if crop.split == split]
        _save_matlab(folder / file, {"annotations": np.array(rows, dtype=[("class", object), ("fname", object)])})


def _write_inat2018(folder: Path, crops: Sequence[Crop]) -> None:
    for split in ("train", "val"):
        of_split = [crop for crop in crops if crop.split == split]
        record = {
            "categories": [{"id": label} for label in range(len(CLASSES))],
            "annotations": [{"image_id": crop.index, "category_id": crop.label} for crop in of_split],
            "images": [{"id": crop.index, "file_name": LAYOUTS["inat2018"].path(crop)} for crop in of_split],
        }
        (folder / f"{split}2018.json").write_text(json.dumps(record))


LAYOUTS = {
    "cars": WrittenLayout("cars_{split}/{stem}.jpg", finish=_write_cars),
    "cifar10": WrittenLayout("{split}/{name}/{stem}.png"),
    "cifar100": WrittenLayout("{split}/{name}/{stem}.png"),
    "dtd": WrittenLayout(
        "images/{name}/{name}_{stem}.jpg",
        lists={split: (file, "{name}/{name}_{stem}.jpg") for split, file in dtd.LISTS.lists.items()},
    ),
    "eurosat": WrittenLayout("{name}/{name}_{stem}.jpg"),
    "flowers102": WrittenLayout("jpg/image_{stem}.jpg", finish=_write_flowers),
    "food101": WrittenLayout(
        "images/{name}/{stem}.jpg",
        lists={split: (file, "{name}/{stem}") for split, file in food101.LISTS.lists.items()},
        names=("meta/classes.txt", "{name}"),
    ),
    "inat2018": WrittenLayout("train_val2018/Photographs/{label}/{stem}.jpg", finish=_write_inat2018),
    "inat2021": WrittenLayout("{split}/{label:05d}_{name}/{stem}.jpg"),
    "pets": WrittenLayout(
        "images/{name}_{stem}.jpg",
        lists={split: (file, "{name}_{stem} {number} 1 1") for split, file in pets.LISTS.lists.items()},
    ),
    "places365": WrittenLayout(
        {"train": "data_256/{name}/{stem}.jpg", "val": "val_256/Places365_val_{stem}.jpg"},
        lists={
            "train": (places365.LISTS.lists["train"], "/{name}/{stem}.jpg {label}"),
            "val": (places365.LISTS.lists["val"], "Places365_val_{stem}.jpg {label}"),
        },
        names=("categories_places365.txt", "/{name} {label}"),
        classes=PLACES,
    ),
    "sun397": WrittenLayout(
        "{name}/sun_{stem}.jpg",
        lists={split: (file, "/{name}/sun_{stem}.jpg") for split, file in sun397.LISTS.lists.items()},
        names=("ClassName.txt", "/{name}"),
        classes=PLACES,
    ),
}
