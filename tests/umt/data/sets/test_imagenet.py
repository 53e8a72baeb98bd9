"""The ImageNet layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.contract import Dataset
from umt.data.registry import find_dataset
from umt.data.sets.imagenet import INFO
from umt.errors import UMTError


@pytest.fixture
def root(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    for path in ("train/n02/b.JPEG", "train/n02/a.JPEG", "train/n01/c.JPEG", "val/n01/d.JPEG", "val/n02/e.JPEG"):
        make_image(tmp_path / path)
    return tmp_path


def test_indices_follow_the_sorted_ids(root: Path) -> None:
    dataset = Dataset(INFO, root)
    assert dataset.class_names == ["n01", "n02"]
    assert [(sample.image.name, sample.target) for sample in dataset.samples("train")] == [
        ("c.JPEG", 0),
        ("a.JPEG", 1),
        ("b.JPEG", 1),
    ]
    assert dataset.sizes == {"train": 3, "val": 2}
    assert not dataset.official


def test_splits_with_other_classes_are_refused(root: Path, make_image: Callable[..., Path]) -> None:
    make_image(root / "val" / "n03" / "f.JPEG")
    with pytest.raises(UMTError, match="class folder 'n03' is in one of train and val only"):
        Dataset(INFO, root).samples("val")


def test_real_synsets(real_data: Path) -> None:
    dataset = find_dataset("imagenet", real_data, {"imagenet": real_data / "imagenet_det200_mini"})
    assert len(dataset.class_names) == 40
    assert dataset.sizes == {"train": 120, "val": 80}
