"""Text lists, class folders and pairs: what is read, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.contract import Sample
from umt.data.reading import (
    MAX_LIST_BYTES,
    annotated_samples,
    class_images,
    image_names,
    listed_samples,
    read_table,
    subfolders,
)
from umt.errors import TrustError, UMTError


def test_listings_are_sorted_and_hold_only_what_counts(tmp_path: Path) -> None:
    for name in ("b.JPEG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("z", "c", ".git"):
        (tmp_path / name).mkdir()
    assert image_names(tmp_path) == ["a.png", "b.JPEG"]
    assert subfolders(tmp_path) == ["c", "z"]


def test_the_last_field_of_a_table_may_hold_blanks(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("0056978 DHC-8-100 long\n\n7 x \n")
    assert read_table(path, 2) == [["0056978", "DHC-8-100 long"], ["7", "x"]]


def test_a_line_with_too_few_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("1 a\n2\n")
    with pytest.raises(
        UMTError, match=r"list\.txt: line 2 is '2', expected 2 fields in at most 4,096 characters; extract"
    ):
        read_table(path, 2)


def test_a_missing_list_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"list\.txt: file of the data set is missing; extract"):
        read_table(tmp_path / "list.txt", 1)
    with pytest.raises(UMTError, match="nowhere: folder of the data set is missing; extract"):
        image_names(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "is a pipe, not a plain file"),
        ("device", "is a device, not a plain file"),
        ("folder", "is a folder, not a plain file"),
        ("huge", "has 67,108,865 bytes, at most 67,108,864 are read"),
    ],
)
def test_a_list_that_is_no_plain_file_of_its_size_is_named(tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / "list.txt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, MAX_LIST_BYTES + 1)
    with pytest.raises(UMTError, match=rf"list\.txt: cannot be read \({reason}\); extract the official archive again"):
        read_table(path, 1)


def test_a_list_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("1 a\n")
    (tmp_path / "list.txt").symlink_to(tmp_path / "there.txt")
    assert read_table(tmp_path / "list.txt", 2) == [["1", "a"]]


def test_a_line_without_end_is_named_in_short(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1 a\n2 " + "x" * 10_000_000)
    with pytest.raises(UMTError, match=r"list\.txt: line 2 is '2 xx*', expected 2 fields in at most 4,096") as caught:
        read_table(tmp_path / "list.txt", 2)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["../secret.jpg", "deep/../../secret.jpg", "{}/secret.jpg", "..", "a\0.jpg"])
def test_a_list_names_images_below_its_folder_only(tmp_path: Path, make_image: Callable[..., Path], name: str) -> None:
    make_image(tmp_path / "secret.jpg")
    make_image(tmp_path / "images" / "deep" / "a.jpg")
    named = name.format(tmp_path)
    with pytest.raises(TrustError) as caught:
        listed_samples(tmp_path / "images", [("deep/a.jpg", 0), (named, 1)], tmp_path / "list.txt")
    assert str(caught.value).startswith(f"{tmp_path}/list.txt: {named[:60]!r} is no path below {tmp_path}/images, wh")
    assert str(caught.value).endswith("; extract the archive again")


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(UMTError, match="cat: class folder holds no images"):
        class_images(tmp_path / "cat")


@pytest.mark.parametrize("missing", ["three.jpg", "deep/three.jpg"])
def test_a_listed_image_that_is_not_there_is_named(
    tmp_path: Path, make_image: Callable[..., Path], missing: str
) -> None:
    make_image(tmp_path / "one.jpg")
    make_image(tmp_path / "deep" / "two.jpg")
    source = tmp_path / "list.txt"
    found = [("one.jpg", 0), ("deep/two.jpg", 1)]
    assert listed_samples(tmp_path, found, source) == [Sample(tmp_path / name, label) for name, label in found]
    with pytest.raises(UMTError, match=rf"{missing}: image is listed in .*list\.txt but missing"):
        listed_samples(tmp_path, [*found, (missing, 0)], source)


def test_an_image_without_annotation_is_named(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    images, annotations = tmp_path / "images" / "test", tmp_path / "annotations" / "test"
    for name in ("b.jpg", "a.png"):
        make_image(images / name)
        make_image(annotations / f"{Path(name).stem}.png")
    pairs = annotated_samples(tmp_path, "test")
    assert [(pair.image.name, Path(str(pair.target)).name) for pair in pairs] == [
        ("a.png", "a.png"),
        ("b.jpg", "b.png"),
    ]
    make_image(images / "c.jpg")
    with pytest.raises(UMTError, match=r"c\.jpg: no annotation .*c\.png"):
        annotated_samples(tmp_path, "test")
