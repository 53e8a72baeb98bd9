"""Variants of ImageNet against the lists that timm brings."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from timm.data import ImageNetInfo

from umt.data.contract import Dataset, Sample
from umt.data.images import decode_rgb
from umt.data.mini import write_set
from umt.data.registry import dataset_info, find_dataset
from umt.data.sets.variants import objectnet
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


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    for name in ("imagenet", "objectnet"):
        write_set(name, tmp_path)
    return tmp_path / "objectnet-1.0"


def overlap_of(mappings: Path) -> dict[str, set[int]]:
    """From the lists alone: a name stands in line N, and the index of its class is the one with the value N."""
    read = {path.name: json.loads(path.read_text()) for path in mappings.glob("*.json")}
    lines = (mappings / "imagenet_to_label_2012_v2").read_text().splitlines()
    index = {lines[line]: int(index) for index, line in read["pytorch_to_imagenet_2012_id.json"].items()}
    names = read["objectnet_to_imagenet_1k.json"]
    folders = read["folder_to_objectnet_label.json"]
    return {
        folder: {index[name] for name in names[label].split("; ")}
        for folder, label in folders.items()
        if label in names
    }


def test_objects_of_overlapping_classes_are_read_without_their_border(objects: Path) -> None:
    dataset = find_dataset("objectnet", objects.parent)
    samples = dataset.reported_samples
    expected = overlap_of(objects / "mappings")
    assert {sample.image.parent.name for sample in samples} == expected.keys()
    assert not (expected.keys() & {"no_class"})
    assert len(samples) == sum(len(list((objects / "images" / folder).iterdir())) for folder in expected)
    assert objectnet.answers(samples) == [expected[sample.image.parent.name] for sample in samples]
    assert all(sample.target in right for sample, right in zip(samples, objectnet.answers(samples), strict=True))
    pixels = np.asarray(decode_rgb(samples[0].image, samples[0].box)).astype(int)
    red = (np.asarray(decode_rgb(samples[0].image)) == (255, 0, 0)).all(axis=2)
    assert red.sum() == 2 * 2 * (68 + 64)
    assert pixels.shape == (64, 64, 3)
    assert (pixels == pixels[..., :1]).all(), "grey, so that nothing of the border is left"


def test_two_digits_of_an_object_are_scans_of_either(objects: Path) -> None:
    last = load_digits().target[-200:]
    paths = (objects / "images" / "about_4").iterdir()
    assert {last[int(path.stem.removeprefix("scan_"))] for path in paths} == {4, 5}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("folder_to_objectnet_label.json", "{}", "'about 0' is not in folder_to_objectnet_label.json"),
        ("objectnet_to_imagenet_1k.json", '{"about 0": "cat"}', "'about 0' is not in"),
        ("pytorch_to_imagenet_2012_id.json", '{"x": 0}', "is not in"),
        ("objectnet_to_imagenet_1k.json", "[]", "not a mapping of names"),
        ("imagenet_to_label_2012_v2", None, "file of the data set is missing"),
        ("objectnet_to_imagenet_1k.json", None, "file of the data set is missing"),
    ],
)
def test_a_wrong_mapping_is_named(objects: Path, file: str, content: str | None, message: str) -> None:
    path = objects / "mappings" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UMTError, match=message):
        find_dataset("objectnet", objects.parent).reported_samples  # noqa: B018  (reads the folder)


def test_a_folder_outside_is_not_read(objects: Path) -> None:
    path = objects / "mappings" / "folder_to_objectnet_label.json"
    folders = json.loads(path.read_text())
    path.write_text(
        json.dumps({("../../imagenet" if label == "about 0" else name): label for name, label in folders.items()})
    )
    with pytest.raises(UMTError, match=r"objectnet-1\.0/images/[^/]+: folder of the data set is missing"):
        find_dataset("objectnet", objects.parent).reported_samples  # noqa: B018  (reads the folder)
