"""Variants of ImageNet against the lists that timm brings."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from umt.data.contract import Dataset, Sample
from umt.data.registry import dataset_info, find_dataset
from umt.data.sets.variants.imagenet_real import answers
from umt.errors import UMTError


def of_timm(name: str) -> list[str]:
    return (pkgutil.get_data("timm.data", f"_info/{name}") or b"").decode().split()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet's thousand folders, an empty file in each."""
    out = tmp_path_factory.mktemp("imagenet")
    info = ImageNetInfo()
    for split in ("train", "val"):
        for index in range(1000):
            make(out / "imagenet" / split / info.index_to_label_name(index))
    return out


def make(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "image.JPEG").touch()


@pytest.mark.parametrize("name", ["a", "r"])
def test_the_two_hundred_classes_have_timms_indices(root: Path, name: str) -> None:
    for wnid in of_timm(f"imagenet_{name}_synsets.txt"):
        make(root / f"imagenet-{name}" / wnid)
    samples = find_dataset(f"imagenet_{name}", root).reported_samples
    assert [sample.target for sample in samples] == [int(index) for index in of_timm(f"imagenet_{name}_indices.txt")]


def test_folders_of_v2_are_indices(root: Path) -> None:
    for index in (0, 10, 2, 999):
        make(root / "imagenetv2-matched-frequency-format-val" / str(index))
    dataset = find_dataset("imagenet_v2", root)
    assert [sample.target for sample in dataset.reported_samples] == [0, 2, 10, 999]
    assert len(dataset.samples("train")) == 1000
    assert len(dataset.class_names) == 1000


def test_fingerprints_do_not_depend_on_the_place(tmp_path: Path) -> None:
    prints = set()
    for place in ("one", "another/place"):
        for folder in ("imagenet/train/n01", "imagenet/val/n01", "sketch/n01"):
            make(tmp_path / place / folder)
        prints.add(find_dataset("imagenet_sketch", tmp_path / place).fingerprint)
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["imagenet-a/n01"], "ImageNet-1k is not beside it"),
        (["imagenet-a/n02", "imagenet/train/n01"], "n02: is no class of ImageNet-1k beside it"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, folders: list[str], message: str) -> None:
    for folder in folders:
        make(tmp_path / folder)
    with pytest.raises(UMTError, match=message):
        find_dataset("imagenet_a", tmp_path).reported_samples  # noqa: B018  (reads the folder)


def test_real_labels_are_timms() -> None:
    labels = json.loads(pkgutil.get_data("timm.data", "_info/imagenet_real_labels.json") or b"")
    samples = [Sample(Path(f"ILSVRC2012_val_{number:08d}.JPEG"), 0) for number in (1, 2, 50_000)]
    assert answers(samples) == [frozenset(labels[number]) for number in (0, 1, 49_999)]


@pytest.mark.parametrize("name", ["ILSVRC2012_val_00050001.JPEG", "ILSVRC2012_val_00000000.JPEG", "cat.jpg"])
def test_images_of_other_names_have_no_real_labels(name: str) -> None:
    with pytest.raises(UMTError, match="keep the names"):
        answers([Sample(Path(name), 0)])


def test_real_reports_imagenets_own_images(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    make_image(tmp_path / "imagenet/train/n01/a.JPEG")
    make_image(tmp_path / "imagenet/val/n01/ILSVRC2012_val_00000001.JPEG")
    dataset = find_dataset("imagenet_real", tmp_path)
    assert dataset_info("imagenet_real").answers is answers
    assert Dataset(dataset_info("imagenet"), dataset.root).samples("val") == dataset.reported_samples
