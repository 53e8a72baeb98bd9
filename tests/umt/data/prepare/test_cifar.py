"""CIFAR's records as PNG files."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress

from umt.data.prepare.flow import prepare
from umt.data.registry import find_dataset
from umt.errors import UMTError


def archive(folder: Path, content: bytes) -> Path:
    inner = folder / "cifar-100-binary"
    inner.mkdir()
    (inner / "fine_label_names.txt").write_text("apple\nworm\n")
    for name in ("train.bin", "test.bin"):
        (inner / name).write_bytes(content)
    with tarfile.open(folder / "cifar-100-binary.tar.gz", "w:gz") as tar:
        tar.add(inner, inner.name)
    return folder / "cifar-100-binary.tar.gz"


def test_each_record_is_an_image_of_its_fine_class(tmp_path: Path, progress: Progress) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    labels = [1, 0, 1]
    records = b"".join(
        bytes([7, label]) + image.transpose(2, 0, 1).tobytes() for label, image in zip(labels, images, strict=True)
    )
    prepare("cifar100", tmp_path / "data", archive(tmp_path, records), progress)
    dataset = find_dataset("cifar100", tmp_path / "data")
    assert dataset.class_names == ["apple", "worm"]
    for sample in dataset.samples("test"):
        number = int(sample.image.stem)
        assert sample.target == labels[number]
        assert np.array_equal(np.asarray(Image.open(sample.image)), images[number])


@pytest.mark.parametrize("content", [b"short", bytes([0, 9]) + bytes(3072)])
def test_other_records_are_refused(tmp_path: Path, progress: Progress, content: bytes) -> None:
    with pytest.raises(UMTError, match=r"cifar-100-binary\.tar\.gz: is not the official archive"):
        prepare("cifar100", tmp_path / "data", archive(tmp_path, content), progress)
    assert not (tmp_path / "data" / "cifar100").exists()


def test_genuine_images_lie_in_the_same_folders(real_data: Path) -> None:
    dataset = find_dataset("cifar10", real_data, {"cifar10": real_data / "cifar10_mini"})
    assert (dataset.class_names[0], dataset.class_names[-1]) == dataset.info.ends
    assert sum(dataset.sizes.values()) == 1500
