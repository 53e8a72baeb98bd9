"""The FGVC-Aircraft layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.contract import Dataset
from umt.data.sets.aircraft import INFO
from umt.errors import UMTError


@pytest.fixture
def root(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    data = tmp_path / "data"
    for number in (1, 2, 3):
        make_image(data / "images" / f"000{number}.jpg")
    (data / "variants.txt").write_text("DC-3\n737 Classic\n")
    for number, split in enumerate(("train", "val", "test"), start=1):
        (data / f"images_variant_{split}.txt").write_text(f"000{number} 737 Classic\n")
    return tmp_path


def test_labels_follow_the_order_of_variants(root: Path) -> None:
    dataset = Dataset(INFO, root)
    assert dataset.class_names == ["DC-3", "737 Classic"]
    assert [(sample.image.name, sample.target) for sample in dataset.samples("val")] == [("0002.jpg", 1)]


def test_an_unknown_variant_is_named(root: Path) -> None:
    (root / "data" / "images_variant_test.txt").write_text("0003 Concorde\n")
    with pytest.raises(UMTError, match=r"images_variant_test\.txt: image 0003 has variant 'Concorde'"):
        Dataset(INFO, root).samples("test")


def test_official_lists(real_data: Path, tmp_path: Path) -> None:
    """Official text files; the photographs are stood in for by empty files."""
    source = real_data / "fgvc_aircraft_meta_edges" / INFO.folder / "data"
    (tmp_path / "data" / "images").mkdir(parents=True)
    for listing in source.glob("*.txt"):
        (tmp_path / "data" / listing.name).write_text(listing.read_text())
    for line in (source / "images_variant_trainval.txt").read_text().splitlines():
        (tmp_path / "data" / "images" / f"{line.split()[0]}.jpg").touch()
    for line in (source / "images_variant_test.txt").read_text().splitlines():
        (tmp_path / "data" / "images" / f"{line.split()[0]}.jpg").touch()
    dataset = Dataset(INFO, tmp_path)
    assert dataset.official
    assert len(dataset.class_names) == INFO.classes
    in_class = Counter(sample.target for split in INFO.splits for sample in dataset.samples(split))
    assert set(in_class.values()) == {100}  # published: 100 images for each of the 100 variants
