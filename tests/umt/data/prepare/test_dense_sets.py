"""Segmentation sets from archives in the structure of the official ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress

from umt.data.checks.items import validate
from umt.data.prepare import prepare
from umt.data.registry import find_dataset
from umt.data.sets.scannet_pairs import write_mini as write_scannet
from umt.data.sets.spair import write_mini as write_spair


@pytest.fixture
def mask() -> bytes:
    """A PNG as large as the picture, of value 7: a class of VOC, and the road of Cityscapes."""
    out = io.BytesIO()
    Image.fromarray(np.full((8, 12), 7, np.uint8)).save(out, "png")
    return out.getvalue()


def test_voc2012(
    tmp_path: Path, make_tar: Callable[..., Path], picture: bytes, mask: bytes, progress: Progress
) -> None:
    files = {"JPEGImages/{}.jpg": picture, "SegmentationClass/{}.png": mask}
    content = {f"VOCdevkit/VOC2012/{path.format(name)}": data for path, data in files.items() for name in ("a", "b")}
    lists = {
        f"VOCdevkit/VOC2012/ImageSets/Segmentation/{split}.txt": f"{name}\n".encode()
        for split, name in (("train", "a"), ("val", "b"))
    }
    archive = make_tar(tmp_path / "VOCtrainval_11-May-2012.tar", content | lists)
    (outcome,) = prepare("voc2012", tmp_path / "data", archive, progress)
    assert outcome.sizes == {"train": 1, "val": 1}
    validate(find_dataset("voc2012", tmp_path / "data"))


def test_spair(tmp_path: Path, make_tar: Callable[..., Path], progress: Progress) -> None:
    """The names of its annotations have a colon, which no other archive may have in its first folder."""
    write_spair(tmp_path / "SPair-71k", (2, 2, 2))
    content = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    archive = make_tar(tmp_path / "SPair-71k.tar.gz", content)
    (outcome,) = prepare("spair", tmp_path / "data", archive, progress)
    assert outcome.sizes == {"trn": 6, "val": 6, "test": 6}
    validate(find_dataset("spair", tmp_path / "data"))


def test_cityscapes(tmp_path: Path, picture: bytes, mask: bytes, progress: Progress) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for archive, folder, end, data in (
        ("leftImg8bit_trainvaltest.zip", "leftImg8bit", "leftImg8bit.png", picture),
        ("gtFine_trainvaltest.zip", "gtFine", "gtFine_labelIds.png", mask),
    ):
        with zipfile.ZipFile(downloads / archive, "w") as file:
            file.writestr("license.txt", "both archives have it")
            for split in ("train", "val"):
                file.writestr(f"{folder}/{split}/ulm/ulm_000000_000019_{end}", data)
    (outcome,) = prepare("cityscapes", tmp_path / "data", downloads, progress)
    assert outcome.sizes == {"train": 1, "val": 1}
    validate(find_dataset("cityscapes", tmp_path / "data"))


def test_scannet_pairs(tmp_path: Path, make_tar: Callable[..., Path], progress: Progress) -> None:
    folder, downloads = tmp_path / "scannet_test_1500", tmp_path / "downloads"
    folder.mkdir()
    downloads.mkdir()
    write_scannet(folder, (1, 2))
    for name in ("test.npz", "intrinsics.npz"):
        (folder / name).rename(downloads / name)
    content = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    make_tar(downloads / "scannet_test_1500.tar", content)
    (outcome,) = prepare("scannet_pairs", tmp_path / "data", downloads, progress)
    assert outcome.sizes == {"test": 1}
    validate(find_dataset("scannet_pairs", tmp_path / "data"))
