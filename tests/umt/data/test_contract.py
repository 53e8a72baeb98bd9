"""Finding data sets, and saying truthfully which one was found."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from umt.data.contract import MARKER, Dataset, DatasetInfo, LabelledImages, Roles, Sample
from umt.data.registry import find_dataset
from umt.errors import UMTError

TOYS = DatasetInfo(
    name="toys",
    title="Toys",
    kind="classification",
    folder="toys",
    splits={"train": 1, "val": 1},
    roles=Roles("train", "val"),
    classes=1,
    source="make it",
    read=lambda root, split: [Sample(root / split, 0)],
)


@pytest.fixture
def data_root(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    root = tmp_path / "data"
    for path in ("train/n01/a.jpg", "val/n01/b.jpg"):
        make_image(root / "imagenet" / path)
    return root


def test_labelled_images_are_the_samples_that_a_list_would_hold(tmp_path: Path) -> None:
    names = {"b c": ["x.jpg", os.fsdecode(b"caf\xe9.png")], "a": ["longer name.jpg"], "empty": []}
    listed = [
        Sample(tmp_path / folder / name, label) for label, folder in enumerate(names) for name in sorted(names[folder])
    ]
    classes = ((tmp_path / folder, sorted(names[folder]), label) for label, folder in enumerate(names))
    images = LabelledImages.of_classes(classes)
    assert images == listed
    assert images != listed[::-1]
    assert [images[index] for index in (-1, 0)] == [listed[-1], listed[0]]
    assert images[1:] == listed[1:]
    assert LabelledImages.of(listed) == images
    assert LabelledImages.of(images) is images
    assert list(images.pairs()) == [(str(sample.image), sample.target) for sample in listed]
    assert pickle.loads(pickle.dumps(images)) == listed
    with pytest.raises(IndexError):
        images[len(images)]


def test_labelled_images_keep_boxes() -> None:
    listed = [Sample(Path(f"{index}.jpg"), 0, (index, 0.5, -2, 7)) for index in range(3)]
    images = LabelledImages.of(listed)
    assert images == listed
    assert images[1:] == listed[1:]
    some = LabelledImages.of([listed[2], Sample(Path("whole.jpg"), 0)])
    assert [sample.box for sample in some] == [(2, 0.5, -2, 7), (0, 0, 0, 0)]


def test_a_list_of_samples_has_the_fingerprint_of_labelled_images(data_root: Path) -> None:
    dataset = find_dataset("imagenet", data_root)
    as_lists = replace(dataset.info, read=lambda root, split: list(dataset.samples(split)))
    assert isinstance(dataset.samples("train"), LabelledImages)
    assert Dataset(as_lists, dataset.root).fingerprint == dataset.fingerprint


def test_an_unknown_split_lists_the_splits(data_root: Path) -> None:
    with pytest.raises(UMTError, match=r"unknown split of ImageNet-1k 'test'.*Known: train, val"):
        find_dataset("imagenet", data_root).samples("test")


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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "clasification"}, r"unknown kind of data set 'toys' 'clasification'\. Did you mean classification"),
        ({"metric": "top5"}, r"unknown metric of data set 'toys' 'top5'"),
        ({"roles": Roles("train", "test")}, r"unknown split in the roles of data set 'toys' 'test'"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_an_error(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        replace(TOYS, **wrong)


def test_training_takes_the_split_for_selection_too(tmp_path: Path) -> None:
    dataset = Dataset(replace(TOYS, roles=Roles("train", "val", select="val")), tmp_path)
    assert [sample.image.name for sample in dataset.training_samples] == ["train", "val"]
    assert [sample.image.name for sample in dataset.reported_samples] == ["val"]


def test_a_set_without_prompts_says_so(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="data set 'toys' declares no prompts; take protocol 'single'"):
        _ = Dataset(TOYS, tmp_path).prompts


def test_classes_that_are_numbers_have_no_spoken_names(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="class folder '10' is a number and no name; call each folder by the name"):
        _ = Dataset(replace(TOYS, class_names=lambda root: ["ball", "10"]), tmp_path).spoken_names
