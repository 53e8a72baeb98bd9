"""The writer of crops of photographs in the layouts of images with a class each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image

from umt.data.contract import DatasetInfo
from umt.data.folder import StratifiedSplit
from umt.data.mini.crops import TEST, TRAIN_PART, VAL, Cutter
from umt.data.mini.layout import Crop, WrittenLayout
from umt.data.mini.photos import NAMES
from umt.data.registry import dataset_info

CLASSES = NAMES[::4]  # photographs
MATLAB_TEXT = b"MATLAB 5.0 MAT-file".ljust(116)  # bytes before the version
SIDE, SAVED = 64, 96  # pixels of a crop in its photograph, and in its file


def write_labelled(name: str, layout: WrittenLayout, seed: int, folder: Path, counts: tuple[int, int]) -> None:
    """Write (training, test) crops of some photographs in the layout of a data set; as many select as test."""
    info = dataset_info(name)
    crops = _planned(info, layout, counts)
    for crop, image in zip(crops, _cut(info, seed, crops), strict=True):
        path = folder / layout.path(crop)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    for split, (file, line) in layout.lists.items():
        write_list(folder / file, [crop.fill(line) for crop in crops if crop.split == split])
    if layout.names:
        file, line = layout.names
        write_list(folder / file, [crop.fill(line) for crop in {crop.name: crop for crop in crops}.values()])
    if layout.finish:
        layout.finish(folder, crops)


def _planned(info: DatasetInfo, layout: WrittenLayout, counts: tuple[int, int]) -> list[Crop]:
    """Return the crops in order of class and split; for a set without splits, those that the usual draw takes."""
    splits = [split for split in info.splits for _ in range(counts[split != info.roles.train])]
    crops = [
        Crop(split, name, label, label * len(splits) + index)
        for label, name in enumerate(map(layout.class_name_of, CLASSES))
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


def _cut(info: DatasetInfo, seed: int, crops: Sequence[Crop]) -> Iterator[Image.Image]:
    """Yield the crops; each split has its own part of a photograph."""
    shares = {info.roles.train: TRAIN_PART, info.roles.report: TEST, info.roles.select: VAL}
    cutter = Cutter(SIDE, SAVED, seed)
    for (label, split), group in groupby(crops, lambda crop: (crop.label, crop.split)):
        yield from cutter.cut(CLASSES[label], shares[split], len(list(group)))


def write_list(path: Path, lines: Sequence[str]) -> None:
    """Write the lines of a list, in a folder that may be missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def save_matlab(path: Path, values: dict[str, Any]) -> None:
    """Write a MATLAB file without the time in its header, so that two writes give equal bytes."""
    from scipy.io import savemat  # slow to import

    file = BytesIO()
    savemat(file, values)
    path.write_bytes(MATLAB_TEXT + file.getvalue()[len(MATLAB_TEXT) :])
