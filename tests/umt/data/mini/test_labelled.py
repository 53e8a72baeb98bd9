"""The writer of layouts with a class for each image."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.data.mini import mini_versions, write_mini, write_set
from umt.data.mini.labelled import CLASSES
from umt.data.registry import find_dataset


def test_every_set_has_the_sizes_that_were_asked_for(tmp_path: Path) -> None:
    counts = {"dtd": (2, 1), "pets": (2, 1), "imagenet": 20, "ade20k": (1, 1), "nyuv2": ((1, 0), (1, 0))}
    write_mini(tmp_path, counts, ("dtd", "pets"))
    classes = len(CLASSES)
    assert find_dataset("dtd", tmp_path).sizes == {"train": 2 * classes, "val": classes, "test": classes}
    assert find_dataset("pets", tmp_path).sizes == {"trainval": 2 * classes, "test": classes}
    assert not (tmp_path / "food-101").exists()  # nobody named it
    assert (tmp_path / "imagenet").is_dir()  # which students are distilled from


@pytest.mark.parametrize("name", [name for name, version in mini_versions().items() if version.counts == (8, 4)])
def test_every_image_has_a_place_of_its_own(name: str, tmp_path: Path) -> None:
    """With two images a class to train and one to test on, none is written over another."""
    write_set(name, tmp_path, {name: (2, 1)})
    info = find_dataset(name, tmp_path).info
    splits = [2 if split == info.roles.train else 1 for split in info.splits]
    images = [path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png")]
    assert len(images) == len(CLASSES) * sum(splits)
