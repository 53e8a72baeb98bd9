"""Dense sets from archives in the structure of the official ones."""

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


def test_scannet_pairs(tmp_path: Path, make_tar: Callable[..., Path], progress: Progress) -> None:
    """The archive holds the frames alone; both lists lie beside it."""
    folder, downloads = tmp_path / "scannet_test_1500", tmp_path / "downloads"
    downloads.mkdir()
    write_scannet(folder, (1, 4))
    frames = [path for path in folder.glob("scene*/**/*") if path.is_file()]
    content = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in frames}
    make_tar(downloads / "scannet_test_1500.tar", content)
    for name in ("test.npz", "intrinsics.npz"):
        (folder / name).rename(downloads / name)
    (outcome,) = prepare("scannet_pairs", tmp_path / "data", downloads, progress)
    assert outcome.sizes == {"test": 5}
    validate(find_dataset("scannet_pairs", tmp_path / "data"))


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


def test_davis2017(tmp_path: Path, picture: bytes, mask: bytes, progress: Progress) -> None:
    archive = tmp_path / "DAVIS-2017-trainval-480p.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for split, video in (("train", "bear"), ("val", "bike-packing")):
            file.writestr(f"DAVIS/ImageSets/2017/{split}.txt", f"{video}\n")
            for frame in range(3):
                file.writestr(f"DAVIS/JPEGImages/480p/{video}/{frame:05d}.jpg", picture)
                file.writestr(f"DAVIS/Annotations/480p/{video}/{frame:05d}.png", mask)
    (outcome,) = prepare("davis2017", tmp_path / "data", archive, progress)
    assert outcome.sizes == {"train": 3, "val": 3}
    validate(find_dataset("davis2017", tmp_path / "data"))


def test_kitti(tmp_path: Path, picture: bytes, progress: Progress) -> None:
    depth = io.BytesIO()
    Image.fromarray(np.full((8, 12), 5 * 256, np.uint16)).save(depth, "png")
    with zipfile.ZipFile(tmp_path / "kitti.zip", "w") as file:
        for split in ("train", "test"):
            image, annotation = f"2011_09_26/{split}_sync/image_02/data/1.png", f"{split}_sync/proj_depth/1.png"
            file.writestr(f"kitti/kitti_eigen_{split}.txt", f"{image} {annotation} 721.5377\n")
            file.writestr(f"kitti/input/{image}", picture)
            file.writestr(f"kitti/gt_depth/{annotation}", depth.getvalue())
    (outcome,) = prepare("kitti", tmp_path / "data", tmp_path / "kitti.zip", progress)
    assert outcome.sizes == {"train": 1, "test": 1}
    validate(find_dataset("kitti", tmp_path / "data"))
