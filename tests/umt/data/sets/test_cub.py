"""The CUB-200-2011 layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.contract import Dataset
from umt.data.registry import find_dataset
from umt.data.sets.cub import INFO
from umt.errors import UMTError


@pytest.fixture
def root(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    tables = {
        "classes": "7 007.Auk\n9 009.Jay\n",
        "images": "1 007.Auk/a.jpg\n2 009.Jay/b.jpg\n3 009.Jay/c.jpg\n",
        "image_class_labels": "3 9\n1 7\n2 9\n",
        "train_test_split": "1 1\n2 0\n3 1\n",
    }
    for table, text in tables.items():
        (tmp_path / f"{table}.txt").write_text(text)
    for image in ("007.Auk/a.jpg", "009.Jay/b.jpg", "009.Jay/c.jpg"):
        make_image(tmp_path / "images" / image)
    return tmp_path


def test_tables_are_joined_by_image_number(root: Path) -> None:
    dataset = Dataset(INFO, root)
    assert dataset.class_names == ["007.Auk", "009.Jay"]
    assert [(sample.image.name, sample.target) for sample in dataset.samples("train")] == [("a.jpg", 0), ("c.jpg", 1)]
    assert [(sample.image.name, sample.target) for sample in dataset.samples("test")] == [("b.jpg", 1)]


def test_a_class_out_of_range_is_named(root: Path) -> None:
    (root / "image_class_labels.txt").write_text("1 7\n2 201\n3 9\n")
    with pytest.raises(UMTError, match=r"image_class_labels\.txt: image 2 has class 201"):
        Dataset(INFO, root).samples("train")


def test_an_image_without_a_split_is_named(root: Path) -> None:
    (root / "train_test_split.txt").write_text("1 1\n3 1\n")
    with pytest.raises(UMTError, match=r"train_test_split\.txt: no line for image 2"):
        Dataset(INFO, root).samples("test")


def test_a_listed_photograph_that_is_not_there_is_named(root: Path) -> None:
    (root / "images" / "009.Jay" / "b.jpg").unlink()
    with pytest.raises(UMTError, match=r"009\.Jay/b\.jpg: image is listed in .*images\.txt but missing"):
        Dataset(INFO, root).samples("test")


def test_official_lists(real_data: Path, tmp_path: Path) -> None:
    """Official text files; the photographs are stood in for by empty files."""
    source = real_data / "cub200_2011_metadata" / INFO.folder
    for listing in source.glob("*.txt"):
        (tmp_path / listing.name).write_text(listing.read_text())
    for line in (source / "images.txt").read_text().splitlines():
        image = tmp_path / "images" / line.split()[1]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    dataset = Dataset(INFO, tmp_path)
    assert dataset.official
    assert dataset.sizes == {"train": 5994, "test": 5794}
    assert dataset.class_names[0] == "001.Black_footed_Albatross"
    assert all(
        sample.image.parent.name == dataset.class_names[int(str(sample.target))] for sample in dataset.samples("test")
    )


def test_real_photographs(real_data: Path) -> None:
    dataset = find_dataset("cub", real_data / "cub10_2010_photos")
    assert sum(dataset.sizes.values()) == 294
    assert len(dataset.class_names) == 10
