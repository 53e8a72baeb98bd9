"""Nothing that is judged on was distilled on, and nothing that is tested on was chosen by."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reproduction.split import DISTIL, PARTS, TABLES, make_split
from umt.data.registry import find_dataset
from umt.errors import UMTError


def test_three_parts_are_real_images_and_share_none(real_data: Path, tmp_path: Path) -> None:
    for _ in range(2):  # the second time there is nothing to do
        make_split(real_data, tmp_path)
    seen = {path.resolve() for path in (tmp_path / DISTIL).glob("*/*")}
    assert len(seen) > 3000
    for part in PARTS:
        for name in ("caltech101", "cub", "imagenet", "ade20k", "nyuv2"):
            dataset = find_dataset(name, tmp_path / part)
            judged = {sample.image.resolve() for split in dataset.info.splits for sample in dataset.samples(split)}
            assert judged
            assert not judged & seen
            assert not dataset.official
            assert "Layout" not in dataset.title
            seen |= judged


def test_parts_of_caltech_and_of_the_birds_share_no_class(real_data: Path, tmp_path: Path) -> None:
    make_split(real_data, tmp_path)
    distilled = {path.name.removeprefix("caltech-") for path in (tmp_path / DISTIL).glob("caltech-*")}
    development, test = (set(find_dataset("caltech101", tmp_path / part).class_names) for part in PARTS)
    assert [len(names) for names in (distilled, development, test)] == [51, 25, 25]
    assert len(distilled | development | test) == 101
    birds = [set(find_dataset("cub", tmp_path / part).class_names) for part in PARTS]
    assert [len(names) for names in birds] == [5, 5]
    assert not birds[0] & birds[1]


def test_tables_distil_on_the_same_images_and_judge_on_the_test_part(real_data: Path, tmp_path: Path) -> None:
    make_split(real_data, tmp_path)
    train = {sample.image.resolve() for sample in find_dataset("imagenet", tmp_path / TABLES).samples("train")}
    assert train == {path.resolve() for path in (tmp_path / DISTIL).glob("*/*")}
    for name in ("caltech101", "cub", "ade20k", "nyuv2"):
        judged, tested = (find_dataset(name, tmp_path / part) for part in (TABLES, PARTS[1]))
        assert judged.title == tested.title
        assert judged.fingerprint == tested.fingerprint


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"caltech101/101_ObjectCategories: no such folder; --data"):
        make_split(tmp_path, tmp_path / "out")
