"""Crops of photographs, one class a photograph, in the layouts of the fine-grained data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from umt.data.mini.photos import NAMES, photo
from umt.data.sets.caltech101 import USUAL

# Shares of a photograph's width: no pixel is in two splits.
TRAIN, TRAIN_PART, VAL, TEST = (0.0, 0.5), (0.0, 0.35), (0.35, 0.5), (0.5, 1.0)


@dataclass(frozen=True)
class Cutter:
    """A cutter of square crops of `side` pixels, each shrunk or enlarged to `saved` pixels."""

    side: int
    saved: int
    seed: int

    def cut(self, name: str, share: tuple[float, float], count: int) -> list[Image.Image]:
        """Cut `count` crops at random places of a photograph, in the part that `share` of its width spans."""
        pixels = photo(name)
        left, right = (round(edge * pixels.shape[1]) for edge in share)
        rng = np.random.default_rng([self.seed, NAMES.index(name), left])
        xs = rng.integers(left, right - self.side + 1, count)
        ys = rng.integers(0, pixels.shape[0] - self.side + 1, count)
        return [self._save_size(pixels[y : y + self.side, x : x + self.side]) for x, y in zip(xs, ys, strict=True)]

    def _save_size(self, crop: np.ndarray) -> Image.Image:
        return Image.fromarray(crop).resize((self.saved, self.saved), Image.Resampling.BICUBIC)


def write_aircraft(folder: Path, counts: tuple[int, int, int]) -> None:
    """Write (train, val, test) crops of each photograph in FGVC-Aircraft's layout."""
    cutter = Cutter(side=24, saved=96, seed=1)
    data = folder / "data"
    (data / "images").mkdir(parents=True)
    lists: dict[str, list[str]] = {}
    for split, share, count in zip(("train", "val", "test"), (TRAIN_PART, VAL, TEST), counts, strict=True):
        lists[split] = [f"{split}_{name}_{number:03d} {name}" for name in NAMES for number in range(count)]
        crops = (crop for name in NAMES for crop in cutter.cut(name, share, count))
        for line, crop in zip(lists[split], crops, strict=True):
            _save(crop, data / "images" / f"{line.split()[0]}.jpg")
    _write_lines(data / "variants.txt", NAMES)
    for split, lines in {**lists, "trainval": lists["train"] + lists["val"]}.items():
        _write_lines(data / f"images_variant_{split}.txt", lines)


def write_caltech101(folder: Path, test: int) -> None:
    """Write 30 crops to train and `test` to test of each photograph in Caltech-101's layout.

    The layout names no split, so the crops that the usual draw takes to train are cut from the training half.
    """
    cutter = Cutter(side=96, saved=128, seed=2)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        files = [f"image_{number:04d}.jpg" for number in range(1, USUAL.per_class + test + 1)]
        train = set(USUAL.training_names({name: files})[name])
        crops = {True: cutter.cut(name, TRAIN, USUAL.per_class), False: cutter.cut(name, TEST, test)}
        for file in files:
            _save(crops[file in train].pop(), folder / name / file)


def write_cub(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, test) crops of each second photograph in CUB-200-2011's layout."""
    cutter = Cutter(side=40, saved=96, seed=3)
    names = NAMES[::2]
    classes = [f"{number:03d}.{name}" for number, name in enumerate(names, start=1)]
    images, labels, splits = [], [], []
    for number, (name, label) in enumerate(zip(names, classes, strict=True), start=1):
        (folder / "images" / label).mkdir(parents=True)
        crops = [*cutter.cut(name, TRAIN, counts[0]), *cutter.cut(name, TEST, counts[1])]
        for index, crop in enumerate(crops):
            images.append(f"{label}/{name}_{index:04d}.jpg")
            labels.append(str(number))
            splits.append("1" if index < counts[0] else "0")
            _save(crop, folder / "images" / images[-1])
    tables = {"images": images, "image_class_labels": labels, "train_test_split": splits, "classes": classes}
    for table, values in tables.items():
        _write_lines(folder / f"{table}.txt", [f"{number} {value}" for number, value in enumerate(values, start=1)])


def _save(crop: Image.Image, path: Path) -> None:
    crop.save(path, quality=95)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
