"""Finding data sets, and saying truthfully which one was found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.contract import MARKER, NAMES, dataset_info, find_dataset
from umt.errors import UMTError


@pytest.fixture
def data_root(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    root = tmp_path / "data"
    for path in ("train/n01/a.jpg", "val/n01/b.jpg"):
        make_image(root / "imagenet" / path)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_declarations_are_complete(name: str) -> None:
    info = dataset_info(name)
    assert info.name == name
    assert info.kind in {"classification", "segmentation", "depth"}
    assert "https://" in info.source or "http://" in info.source
    assert (info.classes is None) == (info.kind == "depth")


def test_an_unknown_name_is_answered_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"unknown data set 'caltech'\. Did you mean caltech101\?"):
        find_dataset("caltech", tmp_path)


def test_a_missing_set_says_where_it_is_expected_and_whence_it_comes(tmp_path: Path) -> None:
    with pytest.raises(
        UMTError, match=r"CUB_200_2011: CUB-200-2011 is not there; extract CUB_200_2011\.tgz from https"
    ):
        find_dataset("cub", tmp_path)


def test_an_unknown_split_lists_the_splits(data_root: Path) -> None:
    with pytest.raises(UMTError, match=r"unknown split of ImageNet-1k 'test'.*Known: train, val"):
        find_dataset("imagenet", data_root).samples("test")


def test_an_override_wins(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "imagenet"
    assert find_dataset("imagenet", tmp_path / "nowhere", {"imagenet": folder}).root == folder


def test_only_the_complete_set_has_the_official_title(data_root: Path) -> None:
    assert find_dataset("imagenet", data_root).title == "ImageNet-1k layout, 2 items"
    (data_root / "imagenet" / MARKER).write_text(json.dumps({"title": "toys"}))
    assert find_dataset("imagenet", data_root).title == "toys"


@pytest.mark.parametrize("text", ["{", "7"])
def test_a_broken_marker_is_named(data_root: Path, text: str) -> None:
    (data_root / "imagenet" / MARKER).write_text(text)
    with pytest.raises(UMTError, match=r"umt-data\.json: not a JSON object"):
        _ = find_dataset("imagenet", data_root).title


def test_the_fingerprint_follows_the_content_and_not_the_place(data_root: Path, tmp_path: Path) -> None:
    fingerprint = find_dataset("imagenet", data_root).fingerprint
    copy = tmp_path / "copy"
    shutil.copytree(data_root, copy)
    assert find_dataset("imagenet", copy).fingerprint == fingerprint
    (copy / "imagenet" / "val" / "n01" / "b.jpg").write_bytes(b"other")
    assert find_dataset("imagenet", copy).fingerprint != fingerprint
