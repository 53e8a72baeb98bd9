"""The writer of layouts with a class for each image."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.data.mini import MiniSize, write_mini
from umt.data.mini.labelled import CLASSES, LAYOUTS, Crop
from umt.data.registry import find_dataset


def test_every_set_has_the_sizes_that_were_asked_for(tmp_path: Path) -> None:
    write_mini(tmp_path, MiniSize(labelled=(2, 1), imagenet=20, ade20k=(1, 1), nyuv2=((1, 0), (1, 0))), ("dtd", "pets"))
    classes = len(CLASSES)
    assert find_dataset("dtd", tmp_path).sizes == {"train": 2 * classes, "val": classes, "test": classes}
    assert find_dataset("pets", tmp_path).sizes == {"trainval": 2 * classes, "test": classes}
    assert not (tmp_path / "food-101").exists()  # nobody named it
    assert (tmp_path / "imagenet").is_dir()  # which students are distilled from


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_no_two_images_have_one_place(name: str) -> None:
    layout = LAYOUTS[name]
    splits = ("train", "val") if isinstance(layout.image, dict) else ("train", "test")
    crops = [
        Crop(split, cls, label, 10 * label + index)
        for label, cls in enumerate(layout.classes)
        for index, split in enumerate(splits)
    ]
    assert len({layout.path(crop) for crop in crops}) == len(crops)
