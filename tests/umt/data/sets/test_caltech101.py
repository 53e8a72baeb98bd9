"""The Caltech-101 layout and its draw of 30."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from umt.data.contract import Dataset, dataset_info, find_dataset
from umt.data.draw import Draw
from umt.data.sets.caltech101 import BACKGROUND, INFO
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


def test_another_draw_is_other_data_in_the_same_folder(tmp_path: Path) -> None:
    """Every choice changes the fingerprint, on which results depend; none changes what is in the folder."""
    for name, count in (("ant", 45), ("beaver", 45), (BACKGROUND, 45)):
        make_class(tmp_path / name, count)
    draws = [Draw(), Draw(seed=1), Draw(per_class=29), Draw(replacement=True), Draw(background="in")]
    sets = [Dataset(dataset_info("caltech101", draw), tmp_path) for draw in draws]
    assert len({found.fingerprint for found in sets}) == len(draws)
    assert dataset_info("caltech101", Draw()) is INFO
    for draw, found in zip(draws, sets, strict=True):
        names = [BACKGROUND, "ant", "beaver"] if draw.background == "in" else ["ant", "beaver"]
        images = {split: [sample.image for sample in found.samples(split)] for split in ("train", "test")}
        assert found.class_names == names
        assert found.sizes["train"] == draw.per_class * len(names)
        assert not set(images["train"]) & set(images["test"])
        assert len({*images["train"], *images["test"]}) == 45 * len(names)
        assert (len(set(images["train"])) < len(images["train"])) == draw.replacement
        assert len(set(images["test"])) == len(images["test"])
        assert found.official is sets[0].official is False


def test_an_official_folder_is_one_by_any_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_class(tmp_path / "ant", 45)
    make_class(tmp_path / BACKGROUND, 45)
    small = replace(INFO, splits={"train": 30, "test": 15})
    monkeypatch.setattr("umt.data.sets.caltech101.INFO", small)
    published = Dataset(dataset_info("caltech101", Draw(replacement=True, background="in")), tmp_path)
    assert (published.official, published.title) == (True, "Caltech-101")


def test_a_class_too_small_for_the_draw_is_named(tmp_path: Path) -> None:
    make_class(tmp_path / "ant", 30)
    with pytest.raises(UMTError, match="ant: 30 images, 30 to train and at least one to test"):
        Dataset(INFO, tmp_path).samples("train")


def test_real_folders(real_data: Path) -> None:
    dataset = find_dataset("caltech101", real_data)
    assert len(dataset.class_names) == INFO.classes
    assert dataset.sizes["train"] == INFO.splits["train"]
    assert dataset.title == f"Caltech-101 layout, {sum(dataset.sizes.values())} items"
