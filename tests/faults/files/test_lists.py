"""Damaged lists and folders of data sets: each fault is named with its file, and once mended the set is as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from umt.data.contract import Dataset, Sample
from umt.data.registry import dataset_info
from umt.errors import UMTError

Damage = Callable[[bytes], bytes]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (90, 60, 30)).save(path)


@pytest.fixture
def cub(tmp_path: Path) -> Dataset:
    """Two classes, two images each."""
    names = ["001.Bird/a.jpg", "001.Bird/b.jpg", "002.Owl/c.jpg", "002.Owl/d.jpg"]
    for name in names:
        picture(tmp_path / "images" / name)
    lists = {
        "classes": ["1 001.Bird", "2 002.Owl"],
        "images": [f"{number} {name}" for number, name in enumerate(names, start=1)],
        "image_class_labels": ["1 1", "2 1", "3 2", "4 2"],
        "train_test_split": ["1 1", "2 0", "3 1", "4 0"],
    }
    for name, lines in lists.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return Dataset(dataset_info("cub"), tmp_path)


@pytest.fixture
def aircraft(tmp_path: Path) -> Dataset:
    """Two variants, one image each in every split."""
    data = tmp_path / "data"
    for number, split in enumerate(("train", "val", "test")):
        picture(data / "images" / f"{number}0.jpg")
        picture(data / "images" / f"{number}1.jpg")
        (data / f"images_variant_{split}.txt").write_text(f"{number}0 707-320\n{number}1 Yak 42\n")
    (data / "variants.txt").write_text("707-320\nYak 42\n")
    return Dataset(dataset_info("aircraft"), tmp_path)


def samples(dataset: Dataset, split: str = "train") -> list[Sample]:
    return Dataset(dataset.info, dataset.root).samples(split)  # of the files as they are now


def is_named(dataset: Dataset, file: str, damage: Damage, message: str) -> None:
    """The damage is an error of one line that says the file and the rest; undone, the samples are the old ones."""
    path = dataset.root / file
    before, content = samples(dataset), path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    with pytest.raises(UMTError, match=message) as caught:
        samples(dataset)
    assert str(caught.value).startswith(str(dataset.root))
    assert str(caught.value).isprintable()
    path.write_bytes(content)
    assert samples(dataset) == before


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("classes.txt", lambda text: text + b"1 003.Hawk\n", r"classes\.txt: '1' comes twice"),
        ("images.txt", lambda text: text + b"1 001.Bird/a.jpg\n", r"images\.txt: '1' comes twice"),
        ("image_class_labels.txt", lambda text: text + b"1 2\n", r"labels\.txt: '1' comes twice"),
        ("train_test_split.txt", lambda text: text + b"1 0\n", r"split\.txt: '1' comes twice"),
        ("image_class_labels.txt", lambda text: text.replace(b"3 2", b"3 9"), "image 3 has class 9, which is not in"),
        ("image_class_labels.txt", lambda text: text.replace(b"3 2", b"3 -1"), "image 3 has class -1"),
        ("image_class_labels.txt", lambda text: text.replace(b"3 2\n", b""), "no line for image 3"),
        ("train_test_split.txt", lambda text: text.replace(b"1 1\n", b""), "no line for image 1"),
        ("train_test_split.txt", lambda text: text.replace(b" 1\n", b" 0\n"), "split 'train' of CUB-200-2011 is empty"),
        ("images.txt", lambda text: text.replace(b"Bird/a", b"B\xefrd/a"), r"images\.txt: cannot be read"),
        (
            "images.txt",
            lambda text: text.replace(b"/a", b"\0/a"),
            r"images\.txt: '001.Bird.*x00/a.jpg' is no path below",
        ),
        ("images.txt", lambda text: text.replace(b"/a", b"/\0"), r"images\.txt: '001.Bird/.*' is no path below"),
        (
            "images.txt",
            lambda text: text.replace(b"001.Bird/a", b"../../a"),
            r"txt: '\.\./\.\./a\.jpg' is no path below .*",
        ),
        ("images.txt", lambda text: text.replace(b"001.Bird/a", b"/etc/a"), r"images\.txt: '/etc/a\.jpg' is no path"),
        ("images.txt", lambda text: text.decode().encode("utf-16"), r"images\.txt: cannot be read"),
        ("images.txt", lambda text: b"", r"images\.txt: no line for image 1, which the other lists name"),
        ("images.txt", lambda text: text[:20], r"images\.txt: no line for image 3, which the other lists name"),
    ],
)
def test_cub(cub: Dataset, file: str, damage: Damage, message: str) -> None:
    is_named(cub, file, damage, message)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("variants.txt", lambda text: text + b"707-320\n", r"variants\.txt: '707-320' comes twice"),
        ("variants.txt", lambda text: b"Yak 42\n", "image 00 has variant '707-320', which is not in variants.txt"),
        ("images_variant_train.txt", lambda text: text * 2, r"train\.txt: '00\.jpg' comes twice"),
        ("images_variant_train.txt", lambda text: text.replace(b"Yak 42", b"Yak\xa042"), r"train\.txt: cannot be read"),
        ("images_variant_train.txt", lambda text: text.replace(b"00 ", b"\x1b[2J "), "but missing"),
        (
            "images_variant_train.txt",
            lambda text: text.replace(b"00 ", b"../../a "),
            r"'\.\./\.\./a\.jpg' is no path below",
        ),
        ("images_variant_train.txt", lambda text: text.replace(b"00 ", b"/etc/a "), "'/etc/a.jpg' is no path below"),
        ("images_variant_train.txt", lambda text: b"\n \n", "split 'train' of FGVC-Aircraft is empty"),
    ],
)
def test_aircraft(aircraft: Dataset, file: str, damage: Damage, message: str) -> None:
    is_named(aircraft, f"data/{file}", damage, message)


@pytest.mark.parametrize(
    "harmless",
    [
        lambda text: b"\xef\xbb\xbf" + text,  # a byte order mark, as Windows writes it
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text + b"\n\n",
    ],
)
def test_other_ways_to_write_the_same_are_the_same(cub: Dataset, aircraft: Dataset, harmless: Damage) -> None:
    before = [samples(cub), samples(aircraft)]
    for path in cub.root.rglob("*.txt"):
        path.write_bytes(harmless(path.read_bytes()))
    assert [samples(cub), samples(aircraft)] == before
    assert aircraft.class_names == ["707-320", "Yak 42"]


def test_an_empty_class_of_imagenet_is_named(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / split / "n0" / "a.jpg")
        picture(tmp_path / split / "n1" / "b.jpg")
    dataset = Dataset(dataset_info("imagenet"), tmp_path)
    before = samples(dataset, "val")
    (tmp_path / "val" / "n1" / "b.jpg").rename(tmp_path / "b.jpg")
    with pytest.raises(UMTError, match="val/n1: class folder holds no images; fill it"):
        samples(dataset, "val")
    (tmp_path / "b.jpg").rename(tmp_path / "val" / "n1" / "b.jpg")
    assert samples(dataset, "val") == before


@pytest.mark.parametrize(("name", "split"), [("ade20k", "training"), ("nyuv2", "train")])
def test_an_image_without_its_annotation_is_named(tmp_path: Path, name: str, split: str) -> None:
    picture(tmp_path / "images" / split / "a.jpg")
    picture(tmp_path / "annotations" / split / "other.png")
    dataset = Dataset(dataset_info(name), tmp_path)
    with pytest.raises(UMTError, match=r"a\.jpg: no annotation .*a\.png; add it, or remove the image"):
        samples(dataset, split)
    picture(tmp_path / "annotations" / split / "a.png")
    assert len(samples(dataset, split)) == 1


@pytest.mark.parametrize(("name", "split"), [("ade20k", "training"), ("nyuv2", "train")])
def test_two_images_with_one_annotation_are_named(tmp_path: Path, name: str, split: str) -> None:
    picture(tmp_path / "images" / split / "a.jpg")
    picture(tmp_path / "images" / split / "a.png")
    picture(tmp_path / "annotations" / split / "a.png")
    with pytest.raises(UMTError, match=r"images/train.*: 'a\.png' comes twice"):
        samples(Dataset(dataset_info(name), tmp_path), split)
