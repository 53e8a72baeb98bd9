"""Samples as a torch Dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import to_tensor

from umt.data.images import ImageSamples
from umt.data.registry import Sample
from umt.errors import UMTError


def test_items_are_those_of_image_folder(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    make_image(tmp_path / "cat" / "a.jpg")
    turned = make_image(tmp_path / "dög" / "b.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    Image.open(turned).save(turned, exif=exif)
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12)).save(tmp_path / "dög" / "grey.png")
    reference = ImageFolder(tmp_path, to_tensor)
    dataset = ImageSamples([Sample(Path(path), label) for path, label in reference.samples], to_tensor)
    for (image, label), (expected, expected_label) in zip(DataLoader(dataset), DataLoader(reference), strict=True):
        assert torch.equal(image, expected)
        assert label == expected_label


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(UMTError, match=r"a\.jpg: image cannot be decoded"):
        ImageSamples([Sample(tmp_path / "a.jpg", 0)], to_tensor)[0]
