"""Any labelled folder as a data set, with and without splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.progress import Progress

from umt.data.checks.items import validate
from umt.data.checks.record import read_record, record_path
from umt.data.checks.verify import verify
from umt.data.contract import Roles
from umt.data.registry import find_dataset
from umt.errors import UMTError

Maker = Callable[..., Path]


def write(folder: Path, make_image: Maker, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        for number in range(count):
            make_image(folder / name / f"{number:02d}.jpg")
    return folder


@pytest.mark.parametrize(
    ("splits", "roles"),
    [
        (("train", "val"), Roles("train", "val")),
        (("train", "test"), Roles("train", "test")),
        (("training", "validation"), Roles("training", "validation")),
        (("train", "valid", "test"), Roles("train", "test", "valid")),
    ],
)
def test_the_roles_of_splits_are_their_names(
    tmp_path: Path, make_image: Maker, splits: tuple[str, ...], roles: Roles
) -> None:
    pets = tmp_path / "pets"
    for split in splits:
        write(pets / split, make_image, {"cat": 2, "dog": 1})
    dataset = find_dataset(f"folder:{pets}", tmp_path / "elsewhere")
    validate(dataset)
    assert (dataset.info.roles, dataset.class_names, dataset.title) == (roles, ["cat", "dog"], "pets")
    assert dataset.sizes == dict.fromkeys(splits, 3)
    assert not dataset.official
    assert not dataset.info.drawn


def test_a_folder_without_splits_is_split_by_a_seed(tmp_path: Path, make_image: Maker) -> None:
    pets = write(tmp_path / "pets", make_image, {"cat": 10, "dog": 5, "emu": 2})
    dataset = find_dataset(f"folder:{pets}", tmp_path)
    tested = [sample.image.parent.name for sample in dataset.reported_samples]
    assert tested == ["cat", "cat", "dog", "emu"]  # a fifth of each class, at least one image
    train = {sample.image for sample in dataset.training_samples}
    assert len(train) == 13
    assert not train & {sample.image for sample in dataset.reported_samples}
    assert dataset.info.drawn
    assert "20% of each class test, drawn with seed 0" in str(dataset.info.footnote)
    other = find_dataset(f"folder:{pets}?seed=1", tmp_path)
    assert other.fingerprint != dataset.fingerprint
    assert find_dataset(f"folder:{pets}?test=0.5", tmp_path).sizes == {"train": 9, "test": 5 + 2 + 1}


def test_equal_folders_have_equal_fingerprints(tmp_path: Path, make_image: Maker) -> None:
    first, second = (write(tmp_path / name, make_image, {"cat": 3, "dog": 3}) for name in ("first", "second"))
    fingerprints = {find_dataset(f"folder:{folder}", tmp_path).fingerprint for folder in (first, second)}
    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    ("counts", "query", "message"),
    [
        ({}, "", "is no folder; give the folder that holds the classes or the splits"),
        ({"cat": 1, "dog": 3}, "", "class 'cat': 1 image, one to train and one to test are needed"),
        ({"cat": 2}, "?test=2", "test takes a share between 0 and 1"),
        ({"cat": 2}, "?tst=0.5", "tst"),
        ({"train/cat": 2}, "", "has 'train' and neither 'val' nor 'test'"),
        ({"train/cat": 2, "val/cat": 2}, "?seed=1", "has a split 'train', so that options split nothing"),
        ({"train/cat": 2, "val/cow": 2}, "", "cow: class is not in 'train'"),
        ({"train": 2, "val/cow": 2}, "", "holds no class folders"),
    ],
)
def test_a_folder_that_is_no_data_set_is_named(
    tmp_path: Path, make_image: Maker, counts: dict[str, int], query: str, message: str
) -> None:
    pets = write(tmp_path / "pets", make_image, counts)
    with pytest.raises(UMTError, match=message):
        validate(find_dataset(f"folder:{pets}{query}", tmp_path))


def test_a_folder_is_verified_and_recorded(tmp_path: Path, make_image: Maker) -> None:
    pets = write(tmp_path / "pets", make_image, {"cat": 3, "dog": 3})
    name, root = f"folder:{pets}", tmp_path / "data"
    report = verify(name, root, Progress(disable=True))
    assert (report.problems, report.sizes) == ((), {"train": 4, "test": 2})
    assert read_record(root, name).title == "pets"
    assert record_path(root, name).parent == root / ".umt-data"
