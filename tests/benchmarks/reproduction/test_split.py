"""Nothing that is judged on was distilled on."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reproduction.split import DISTIL, JUDGE, make_split
from umt.data.registry import find_dataset
from umt.errors import UMTError


def test_both_parts_are_real_images_and_share_none(real_data: Path, tmp_path: Path) -> None:
    for _ in range(2):  # the second time there is nothing to do
        make_split(real_data, tmp_path)
    distilled = {path.resolve() for path in (tmp_path / DISTIL).glob("*/*")}
    assert len(distilled) > 3000
    for name in ("caltech101", "cub", "imagenet"):
        dataset = find_dataset(name, tmp_path / JUDGE)
        judged = {sample.image.resolve() for split in dataset.info.splits for sample in dataset.samples(split)}
        assert judged
        assert not judged & distilled
        assert not dataset.official
        assert "Layout" not in dataset.title


def test_halves_of_caltech_share_no_class(real_data: Path, tmp_path: Path) -> None:
    make_split(real_data, tmp_path)
    ours = {path.name.removeprefix("caltech-") for path in (tmp_path / DISTIL).glob("caltech-*")}
    theirs = set(find_dataset("caltech101", tmp_path / JUDGE).class_names)
    assert len(ours) == 51
    assert len(theirs) == 50
    assert not ours & theirs


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"caltech101/101_ObjectCategories: no such folder; --data"):
        make_split(tmp_path, tmp_path / "out")
