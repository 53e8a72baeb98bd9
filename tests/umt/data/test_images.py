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

from umt.data.checks.items import check_image
from umt.data.contract import Sample
from umt.data.images import ImageSamples, decode, decode_rgb, opened
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


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("read", [decode, decode_rgb, check_image])
def test_what_is_no_plain_file_is_named(
    make_special: Callable[[Path, str], None], tmp_path: Path, kind: str, read: Callable[[Path], object]
) -> None:
    """A pipe would be waited for until somebody writes to it."""
    path = tmp_path / "a.jpg"
    make_special(path, kind)
    with pytest.raises(UMTError, match=rf"a\.jpg: image cannot be decoded \(is a {kind}, not a plain file\); copy it"):
        read(path)


def test_errors_say_the_same_each_time(tmp_path: Path) -> None:
    """Not the number under which the file happened to be open."""
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(UMTError, match=r"\(it is no image, or of an unknown format\)"):
        decode(tmp_path / "a.jpg")
    with pytest.raises(UMTError, match=r"\(No such file or directory\)"):
        decode(tmp_path / "b.jpg")


def test_a_link_to_an_image_is_read(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    (tmp_path / "link.jpg").symlink_to(make_image(tmp_path / "there" / "a.jpg"))
    assert decode_rgb(tmp_path / "link.jpg").size == (12, 8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "ppm", "gif"])
def test_files_are_open_while_they_are_decoded_and_no_longer(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.arange(96 * 3, dtype=np.uint8).reshape(8, 12, 3)).save(path)
    before = len([*Path("/proc/self/fd").iterdir()])
    with Image.open(path) as image:
        expected = image.convert("RGB")
    with opened(path) as image:
        image.draft(None, (6, 4))
        assert image.size == ((6, 4) if suffix == "jpg" else (12, 8))
    assert np.array_equal(decode_rgb(path), expected)
    assert decode(path).convert("RGB").tobytes() == expected.tobytes()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


@pytest.mark.parametrize(
    ("box", "part"),
    [
        ((2, 2, -2, -2), (2, 2, 10, 6)),
        ((1.4, 2.6, 8.5, 7), (1, 3, 8, 7)),
        ((0, 0, 0, 0), (0, 0, 12, 8)),
        ((-3, 4, 400, 8), (0, 4, 12, 8)),
    ],
)
def test_a_box_is_the_part_of_an_image(
    tmp_path: Path, make_image: Callable[..., Path], box: tuple[float, ...], part: tuple[int, ...]
) -> None:
    """Edges are rounded as Pillow's `crop` does, and the last two count from the end if they are not positive."""
    path = make_image(tmp_path / "a.png")
    [(image, _)] = ImageSamples([Sample(path, 0, box)], to_tensor)
    assert torch.equal(image, to_tensor(Image.open(path).crop(part)))
    assert check_image(path, box) == (part[2] - part[0], part[3] - part[1])


@pytest.mark.parametrize("box", [(12, 0, 20, 8), (4, 0, 4, 8), (0, 5, 12, -4)])
def test_a_box_without_a_pixel_is_named(
    tmp_path: Path, make_image: Callable[..., Path], box: tuple[float, ...]
) -> None:
    with pytest.raises(UMTError, match=r"a\.png: image cannot be decoded \(nothing of it lies in the box"):
        decode_rgb(make_image(tmp_path / "a.png"), box)
