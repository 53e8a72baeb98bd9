"""The Caltech-101 layout and its draw of 30."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from umt.data.caltech101 import BACKGROUND, INFO, draw
from umt.data.registry import Dataset, find_dataset
from umt.errors import UMTError


def make_class(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"image_{number:04d}.jpg").touch()


def test_the_official_sizes_follow_from_the_published_counts() -> None:
    images, background, classes = 9144, 467, 101
    assert INFO.splits == {"train": 30 * classes, "test": images - background - 30 * classes}


def test_splits_are_disjoint_complete_and_without_background(tmp_path: Path) -> None:
    for name, count in (("ant", 31), ("beaver", 45), (BACKGROUND, 40)):
        make_class(tmp_path / name, count)
    dataset = Dataset(INFO, tmp_path)
    train, test = ({sample.image for sample in dataset.samples(split)} for split in ("train", "test"))
    assert dataset.class_names == ["ant", "beaver"]
    assert dataset.sizes == {"train": 60, "test": 1 + 15}
    assert not train & test


def test_the_draw_depends_on_names_only() -> None:
    names = [f"image_{number:04d}.jpg" for number in range(1, 101)]
    shuffled = random.Random(0).sample(names, len(names))
    drawn = draw("ant", names)
    assert drawn == draw("ant", shuffled)
    assert len(drawn) == 30
    assert drawn != draw("beaver", names)
    assert drawn - {names[0]} <= draw("ant", names[1:])  # another image missing moves at most one
    # Worked out with coreutils' sha256sum and sort; another draw is another data set.
    assert sorted(drawn)[:3] == ["image_0003.jpg", "image_0007.jpg", "image_0010.jpg"]


def test_a_class_too_small_for_the_draw_is_named(tmp_path: Path) -> None:
    make_class(tmp_path / "ant", 30)
    with pytest.raises(UMTError, match="ant: 30 images, 30 to train and at least one to test"):
        Dataset(INFO, tmp_path).samples("train")


def test_real_folders(real_data: Path) -> None:
    dataset = find_dataset("caltech101", real_data)
    assert len(dataset.class_names) == INFO.classes
    assert dataset.sizes["train"] == INFO.splits["train"]
    assert dataset.title == f"Caltech-101 layout, {sum(dataset.sizes.values())} items"
