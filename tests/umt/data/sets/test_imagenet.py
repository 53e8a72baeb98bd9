"""The ImageNet layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

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


@pytest.fixture
def kaggle(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    """The tree of Kaggle's archive: validation images lie flat, their classes in a list of boxes."""
    tree = tmp_path / "imagenet" / "ILSVRC" / "Data" / "CLS-LOC"
    for path in ("train/n01/c.JPEG", "train/n02/a.JPEG", "val/V_1.JPEG", "val/V_2.JPEG", "val/V_3.JPEG"):
        make_image(tree / path)
    lines = ["ImageId,PredictionString", "V_2,n01 1 2 3 4 ", "V_1,n02 1 2 3 4 n02 5 6 7 8 ", "V_3,n01 9 9 9 9 "]
    (tmp_path / "imagenet" / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
    return tree


def test_kaggles_tree_is_read_as_it_is(kaggle: Path, tmp_path: Path) -> None:
    dataset = find_dataset("imagenet", tmp_path)
    assert dataset.root == kaggle
    validation = [(sample.image.name, sample.target) for sample in dataset.samples("val")]
    assert validation == [("V_2.JPEG", 0), ("V_3.JPEG", 0), ("V_1.JPEG", 1)]
    assert [sample.target for sample in dataset.samples("train")] == [0, 1]


def test_flat_images_of_no_known_class_are_named(kaggle: Path, tmp_path: Path, make_image: Callable[..., Path]) -> None:
    make_image(kaggle / "val" / "V_4.JPEG")
    with pytest.raises(UMTError, match=r"V_4\.JPEG: LOC_val_solution\.csv has no line for it"):
        find_dataset("imagenet", tmp_path).samples("val")
    (kaggle / "val" / "V_4.JPEG").unlink()
    (tmp_path / "imagenet" / "LOC_val_solution.csv").unlink()
    with pytest.raises(
        UMTError, match=r"val: no class folders; put Kaggle's LOC_val_solution\.csv or the official ILSVRC2012_devkit"
    ):
        find_dataset("imagenet", tmp_path).samples("val")


def test_validation_images_alone_are_enough_where_nothing_is_trained(root: Path) -> None:
    rmtree(root / "train")
    dataset = Dataset(INFO, root)
    assert dataset.class_names == ["n01", "n02"]
    assert [sample.target for sample in dataset.samples("val")] == [0, 1]
    assert dataset.sizes == {"val": 2}
    assert len(dataset.fingerprint) == 16
    with pytest.raises(UMTError, match="train: folder of the data set is missing"):
        dataset.samples("train")
    official = Dataset(replace(INFO, splits={"train": 1_281_167, "val": 2}), root)
    assert official.official, "its numbers may stand beside published ones"
    rmtree(root / "val")
    with pytest.raises(UMTError, match="val: folder of the data set is missing"):
        Dataset(INFO, root).sizes  # noqa: B018
