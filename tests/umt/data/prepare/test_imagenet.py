"""ImageNet's tar of tars, and the validation tar with the devkit's classes."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from umt.data.prepare import prepare
from umt.data.registry import find_dataset
from umt.data.sets.imagenet import DEVKIT, TRAIN, VAL
from umt.errors import UMTError


@pytest.fixture
def archives(
    tmp_path: Path,
    make_tar: Callable[..., Path],
    make_devkit: Callable[..., Path],
    tar_of: Callable[..., bytes],
    picture: bytes,
) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    names = {"n02119789": ["n02119789_1.JPEG", "n02119789_2.JPEG"], "n01440764": ["n01440764_3.JPEG"]}
    make_tar(
        folder / TRAIN.name, {f"{wnid}.tar": tar_of(dict.fromkeys(images, picture)) for wnid, images in names.items()}
    )
    # Not in order of name, which is what the ground truth follows.
    make_tar(folder / VAL.name, {f"ILSVRC2012_val_0000000{n}.JPEG": picture for n in (3, 1, 2)})
    make_devkit(folder / DEVKIT.name, b"2\n1\n2\n")
    return folder


def test_both_splits(tmp_path: Path, archives: Path, progress: Progress) -> None:
    outcomes = prepare("imagenet", tmp_path / "data", archives, progress)
    assert [outcome.sizes for outcome in outcomes] == [{"train": 3}, {"val": 3}]
    dataset = find_dataset("imagenet", tmp_path / "data")
    assert dataset.class_names == ["n01440764", "n02119789"]
    assert [(sample.image.name, sample.target) for sample in dataset.samples("val")] == [
        ("ILSVRC2012_val_00000001.JPEG", 0),
        ("ILSVRC2012_val_00000003.JPEG", 0),
        ("ILSVRC2012_val_00000002.JPEG", 1),
    ]


def test_one_split_at_a_time(tmp_path: Path, archives: Path, progress: Progress) -> None:
    root = tmp_path / "data"
    assert [outcome.folder.name for outcome in prepare("imagenet", root, archives / VAL.name, progress)] == ["val"]
    outcomes = prepare("imagenet", root, archives / TRAIN.name, progress)
    assert [(outcome.folder.name, bool(outcome.origin)) for outcome in outcomes] == [("train", True), ("val", False)]


def test_validation_images_need_the_devkit(tmp_path: Path, archives: Path, progress: Progress) -> None:
    (archives / DEVKIT.name).unlink()
    with pytest.raises(UMTError, match=rf"{DEVKIT.name}: is needed beside {VAL.name}; register at"):
        prepare("imagenet", tmp_path / "data", archives / VAL.name, progress)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((b"2\n1\n",), r"3 images, .* has the classes of 2; get both"),
        ((b"2\n3\n1\n",), r"line 2 is '3', no class of meta\.mat"),
        ((b"2\n1\n2\n", b"no mat"), r"meta\.mat cannot be read"),
        ((b"1\n1\n1\n", [(1, "../../evil", 0), (2, "n2", 0)]), r"names a class '\.\./\.\./evil', expected n0"),
        ((b"1\n1\n1\n", [(1, "/elsewhere", 0), (2, "n2", 0)]), "names a class '/elsewhere', expected n0"),
    ],
)
def test_a_devkit_that_does_not_fit_is_named(
    tmp_path: Path,
    archives: Path,
    make_devkit: Callable[..., Path],
    progress: Progress,
    content: tuple[Any, ...],
    reason: str,
) -> None:
    make_devkit(archives / DEVKIT.name, *content)
    with pytest.raises(UMTError, match=reason):
        prepare("imagenet", tmp_path / "data", archives / VAL.name, progress)
    assert not (tmp_path / "data" / "imagenet").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("n01440764.tar", b"x" * 1000, "no readable tar"),
        ("../n01440764.tar", b"", "no tar of a class"),
        ("readme.txt", b"", "no tar of a class"),
    ],
)
def test_a_class_that_is_no_tar_is_named(
    tmp_path: Path, make_tar: Callable[..., Path], progress: Progress, name: str, content: bytes, reason: str
) -> None:
    archive = make_tar(tmp_path / TRAIN.name, {name: content})
    with pytest.raises(UMTError, match=reason):
        prepare("imagenet", tmp_path / "data", archive, progress)


def test_a_hostile_inner_tar_is_refused(
    tmp_path: Path, make_tar: Callable[..., Path], tar_of: Callable[..., bytes], progress: Progress
) -> None:
    archive = make_tar(tmp_path / TRAIN.name, {"n01440764.tar": tar_of({"../../evil": b"x"})})
    with pytest.raises(UMTError, match=r"'\.\./\.\./evil' is a path outside"):
        prepare("imagenet", tmp_path / "data", archive, progress)
    assert not [*tmp_path.rglob("evil")]


def test_an_inner_tar_with_a_huge_header_is_refused(
    tmp_path: Path, make_tar: Callable[..., Path], progress: Progress
) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 5 << 30
    archive = make_tar(tmp_path / TRAIN.name, {"n01440764.tar": info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16)})
    with pytest.raises(UMTError, match=r"'n01440764\.tar' is no readable tar \(an extended header of 5,368,709,120 by"):
        prepare("imagenet", tmp_path / "data", archive, progress)
