"""Text lists, class folders and pairs: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.layouts import annotated_samples, class_images, image_names, listed_samples, read_table, subfolders
from umt.data.registry import Sample
from umt.errors import UMTError


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
    with pytest.raises(UMTError, match=r"list\.txt: line 2 is '2', expected 2 fields; extract"):
        read_table(path, 2)


def test_a_missing_list_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"list\.txt: file of the data set is missing; extract"):
        read_table(tmp_path / "list.txt", 1)
    with pytest.raises(UMTError, match="nowhere: folder of the data set is missing; extract"):
        image_names(tmp_path / "nowhere")


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
    with pytest.raises(UMTError, match=rf"{missing}: image is listed in .*list\.txt and not there"):
        listed_samples(tmp_path, [*found, (missing, 0)], source)


def test_an_image_without_annotation_is_named(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    images, annotations = tmp_path / "images", tmp_path / "annotations"
    for name in ("b.jpg", "a.png"):
        make_image(images / name)
        make_image(annotations / f"{Path(name).stem}.png")
    pairs = annotated_samples(images, annotations)
    assert [(pair.image.name, Path(str(pair.target)).name) for pair in pairs] == [
        ("a.png", "a.png"),
        ("b.jpg", "b.png"),
    ]
    make_image(images / "c.jpg")
    with pytest.raises(UMTError, match=r"c\.jpg: no annotation .*c\.png"):
        annotated_samples(images, annotations)
