"""ImageNet as it is downloaded, three archives beside each other, is ImageNet in folders."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from rich.progress import Progress

from umt.backbones import create_backbone
from umt.cli import cli
from umt.data.checks.verify import verify
from umt.data.contract import Dataset
from umt.data.prepare import prepare
from umt.data.registry import find_dataset
from umt.data.shards import devkit, lookup
from umt.data.shards.devkit import DEVKIT, TRAINING, VALIDATION, read_classes
from umt.errors import UMTError
from umt.features import eval_images, run_over

NUMBERS = {"n02119789": 1, "n01440764": 2}
TRUTH = b"1\n2\n2\n1\n"


@pytest.fixture
def extracted(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    """Two classes in folders; the validation images are numbered without regard to their classes."""
    root = tmp_path / "extracted" / "imagenet"
    for wnid in NUMBERS:
        for number in range(3):
            make_image(root / "train" / wnid / f"{wnid}_{number}.JPEG", (20 + number, 16))
    for number, line in enumerate(TRUTH.split(), start=1):
        wnid = next(wnid for wnid, label in NUMBERS.items() if label == int(line))
        make_image(root / "val" / wnid / f"ILSVRC2012_val_{number:08d}.JPEG", (24, 16 + number))
    return root


@pytest.fixture
def official(tmp_path: Path, extracted: Path, make_devkit: Callable[..., Path]) -> Path:
    """The same images in the three official archives."""
    root = tmp_path / "official" / "imagenet"
    root.mkdir(parents=True)
    with tarfile.open(root / TRAINING, "w") as tar:
        for folder in sorted((extracted / "train").iterdir()):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar_of_class:
                for image in sorted(folder.iterdir()):
                    tar_of_class.add(image, image.name)
            member = tarfile.TarInfo(f"{folder.name}.tar")
            member.size = len(inner.getvalue())
            tar.addfile(member, io.BytesIO(inner.getvalue()))
    with tarfile.open(root / VALIDATION, "w") as tar:
        for image in sorted((extracted / "val").rglob("*.JPEG"), reverse=True):  # the order of names counts, not this
            tar.add(image, image.name)
    make_devkit(root / DEVKIT, TRUTH)
    return root


def imagenet(root: Path) -> Dataset:
    return find_dataset("imagenet", root.parent)


def items(dataset: Dataset) -> list[tuple[str, object, bytes]]:
    listed = []
    for split in dataset.info.splits:
        for sample in dataset.samples(split):
            with lookup.open_image(sample.image) as file:
                listed.append((str(sample.image.relative_to(dataset.root)), sample.target, file.read()))
    return listed


def moved_into_folders(root: Path) -> None:
    for split, name in lookup.OFFICIAL_TARS.items():
        (root / split).mkdir()
        (root / name).rename(root / split / name)


def moved_with_the_devkit(root: Path) -> None:
    moved_into_folders(root)
    (root / DEVKIT).rename(root / "val" / DEVKIT)


def beside_other_folders(root: Path) -> None:
    (root / "ILSVRC2012_devkit_t12" / "data").mkdir(parents=True)
    (root / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"not looked into")


@pytest.mark.parametrize(
    "arrange", [None, moved_into_folders, moved_with_the_devkit, beside_other_folders], ids=lambda call: str(call)[:30]
)
def test_official_archives_are_the_folders(
    extracted: Path, official: Path, arrange: Callable[[Path], None] | None
) -> None:
    if arrange:
        arrange(official)
    archives, folders = imagenet(official), imagenet(extracted)
    assert items(archives) == items(folders)
    assert len(items(archives)) == 10
    assert archives.class_names == folders.class_names == ["n01440764", "n02119789"]
    assert archives.fingerprint == folders.fingerprint


def test_each_split_may_be_in_its_own_form(extracted: Path, official: Path) -> None:
    shutil.copytree(extracted / "train", official / "train")
    assert items(imagenet(official)) == items(imagenet(extracted))
    assert official / "train" not in lookup.INDICES
    (official / TRAINING).unlink()
    shutil.rmtree(official / "train")
    assert imagenet(official).sizes == {"val": 4}
    assert imagenet(official).class_names == ["n01440764", "n02119789"]


def test_features_are_equal_to_the_last_bit(extracted: Path, official: Path) -> None:
    backbone = create_backbone("timm:test_vit?pretrained=false")
    features = []
    for root in (extracted, official):
        images = eval_images(imagenet(root).samples("val"), backbone.preprocess, 64)
        with torch.no_grad():
            features.append(
                run_over(images, lambda batch: backbone(batch).pooled, torch.device("cpu"), 4, lambda *_: None)
            )
    assert torch.equal(*features)


def test_extracted_flat_images_take_their_classes_from_the_devkit(extracted: Path, official: Path) -> None:
    (official / "val").mkdir()
    with tarfile.open(official / VALIDATION) as tar:
        tar.extractall(official / "val", filter="data")
    flat, folders = (
        [(sample.image.name, sample.target) for sample in imagenet(root).samples("val")]
        for root in (official, extracted)
    )
    assert flat == folders


def test_verify_and_prepare_know_the_archives(official: Path, extracted: Path, tmp_path: Path) -> None:
    (official / "umt-data.json").write_text(json.dumps({"title": "two classes", "real": "none"}))
    with Progress(disable=True) as progress:
        report = verify("imagenet", official.parent, progress)
        assert (report.problems, report.sizes) == ((), {"train": 6, "val": 4})
        there = prepare("imagenet", official.parent, None, progress)
        assert [(folder.sizes, folder.origin) for folder in there] == [({"train": 6}, ()), ({"val": 4}, ())]
        prepare("imagenet", official.parent, official, progress)
    lookup.INDICES.clear()
    assert (official / "val" / "n01440764" / "ILSVRC2012_val_00000002.JPEG").is_file()
    assert items(imagenet(official)) == items(imagenet(extracted))


def test_a_missing_devkit_stops_validation_in_one_line(official: Path, make_devkit: Callable[..., Path]) -> None:
    (official / DEVKIT).unlink()
    with pytest.raises(UMTError, match=rf"{VALIDATION}: {DEVKIT}, which .* is missing; put it beside the tar"):
        imagenet(official).samples("val")
    assert len(imagenet(official).samples("train")) == 6
    outcome = CliRunner().invoke(cli, ["data", "verify", "imagenet", "--data-root", str(official.parent)])
    assert (outcome.exit_code, outcome.output.count("\n")) == (1, 1)
    make_devkit(official / DEVKIT, TRUTH)
    assert len(imagenet(official).samples("val")) == 4


def test_another_devkit_is_another_index(official: Path, make_devkit: Callable[..., Path]) -> None:
    before = [sample.target for sample in imagenet(official).samples("val")]
    make_devkit(official / DEVKIT, b"1\n1\n1\n2\n")
    lookup.INDICES.clear()
    assert [sample.target for sample in imagenet(official).samples("val")] == [0, 1, 1, 1] != before


def test_a_tar_of_that_name_with_class_folders_needs_no_devkit(official: Path, extracted: Path) -> None:
    with tarfile.open(official / VALIDATION, "w") as tar:
        tar.add(extracted / "val", "val")
    (official / DEVKIT).unlink()
    assert items(imagenet(official)) == items(imagenet(extracted))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((b"1\n2\n",), rf"{VALIDATION}: 4 images, {DEVKIT} has the classes of 2; get both"),
        ((b"1\n2\n9\n1\n",), r"line 3 is '9', no class of meta\.mat"),
        ((b"\xff\n2\n9\n1\n",), r"line 1 is '.*', no class of meta\.mat"),
        ((TRUTH, b"no mat"), r"meta\.mat cannot be read"),
        ((TRUTH, [(1, "../../evil", 0), (2, "n2", 0)]), r"names a class '\.\./\.\./evil', expected n0"),
    ],
)
def test_a_devkit_that_does_not_fit_is_named(
    official: Path, make_devkit: Callable[..., Path], content: tuple[object, ...], reason: str
) -> None:
    make_devkit(official / DEVKIT, *content)
    with pytest.raises(UMTError, match=reason):
        imagenet(official).samples("val")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: os.truncate(path, path.stat().st_size // 2), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(b"<html>404</html>"), "cannot be read"),
        (lambda path: tarfile.open(path, "w:gz").close(), "holds no ILSVRC2012_devkit_t12/data/ILSVRC2012_validation"),
    ],
)
def test_a_damaged_devkit_is_named(official: Path, damage: Callable[[Path], None], reason: str) -> None:
    damage(official / DEVKIT)
    with pytest.raises(UMTError, match=rf"{DEVKIT}: {reason}.*; get the devkit again"):
        read_classes(official / DEVKIT)


def test_a_devkit_that_would_fill_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devkit, "MAX_DEVKIT_BYTES", 1 << 20)
    with tarfile.open(tmp_path / DEVKIT, "w:gz") as tar:
        member = tarfile.TarInfo(devkit.META)
        member.size = 2 << 20
        tar.addfile(member, io.BytesIO(bytes(2 << 20)))
    with pytest.raises(UMTError, match=r"holds more than 1,048,576 bytes"):
        read_classes(tmp_path / DEVKIT)
