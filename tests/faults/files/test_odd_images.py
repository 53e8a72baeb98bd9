"""Odd and broken images through every reader: each is read as Pillow's own conversion reads it, or is named."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from depth.loading import LoadCheckedDepth
from mmseg_configs.loading import LoadCheckedImage, LoadCheckedLabels
from umt.backbones.contract import Preprocess
from umt.data.checks.items import check_image
from umt.data.contract import Sample
from umt.data.image_list import find_images
from umt.data.images import MAX_SIDE_RATIO, ImageSamples
from umt.data.transforms import eval_pixels, train_transform
from umt.distill.images import Skipped, ViewImages
from umt.distill.recipe import ViewSpec
from umt.errors import UMTError

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
Read = Callable[[Path], Tensor]


def rgb() -> Image.Image:
    return Image.fromarray(COLOURS)


def write_cmyk(folder: Path) -> Path:
    rgb().convert("CMYK").save(path := folder / "cmyk.jpg", quality=95)
    return path


def write_turned(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    rgb().save(path := folder / "turned.jpg", exif=exif)
    return path


def write_animated(folder: Path) -> Path:
    frames = [Image.fromarray(np.roll(COLOURS, step, axis=1)) for step in range(3)]
    frames[0].save(path := folder / "animated.webp", save_all=True, append_images=frames[1:], lossless=True)
    return path


def write_palette(folder: Path) -> Path:
    rgb().quantize(16).save(path := folder / "palette.png", transparency=3)
    return path


def write_see_through(folder: Path) -> Path:
    Image.fromarray(RNG.integers(0, 256, (40, 60, 4), dtype=np.uint8)).save(path := folder / "see_through.png")
    return path


def write_bilevel(folder: Path) -> Path:
    rgb().convert("1").save(path := folder / "bilevel.png")
    return path


def write_pixel(folder: Path) -> Path:
    Image.new("RGB", (1, 1), (10, 200, 30)).save(path := folder / "pixel.png")
    return path


def write_bomb(folder: Path) -> Path:
    """Some bytes that say of themselves to be 20000x20000 pixels: 1.2 GB."""
    write_pixel(folder).rename(path := folder / "bomb.png")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


def write_truncated(folder: Path) -> Path:
    rgb().save(path := folder / "truncated.jpg")
    path.write_bytes(path.read_bytes()[:700])
    return path


def write_floats(folder: Path) -> Path:
    """Write an image of floats: white may be 1.0, 255 or the largest value."""
    Image.fromarray(RNG.random((40, 60), dtype=np.float32)).save(path := folder / "floats.tif")
    return path


def write_long(folder: Path, width: int, height: int) -> Path:
    """A small file, which would be gigabytes once its shorter side has the resolution of a model."""
    Image.new("RGB", (width, height), (10, 200, 30)).save(path := folder / "long.png")
    return path


def write_text(folder: Path) -> Path:
    (path := folder / "text.jpg").write_text("<html>404</html>")
    return path


def write_empty(folder: Path) -> Path:
    (path := folder / "empty.png").touch()
    return path


ODD = (
    write_cmyk,
    write_turned,
    write_animated,
    write_palette,
    write_see_through,
    write_bilevel,
    write_pixel,
)
BROKEN = (write_bomb, write_floats, write_truncated, write_text, write_empty)


def extraction(path: Path) -> Tensor:
    return ImageSamples([Sample(path, 0)], eval_pixels(Preprocess(), 32, 0.875))[0][0]


def fine_tuning(path: Path) -> Tensor:
    torch.manual_seed(0)
    random.seed(0)
    augment = train_transform(32, "bicubic", auto_augment=None, reprob=0.0, scale=(0.5, 1.0), hflip=0.5)
    return ImageSamples([Sample(path, 0)], augment)[0][0]


def distillation(path: Path) -> Tensor:
    images = find_images(path.parent)
    index = [images.path(number) for number in range(len(images))].index(path)
    skipped = Skipped(path.parent / "skipped.txt", len(images))
    pixels, _, shown = ViewImages(images, ViewSpec(size=16), 0, skipped).draw(index, 0)
    if shown != index:  # another stands in, and the list names this one
        raise UMTError(skipped.lines()[0])
    return pixels


def dense(path: Path) -> Tensor:
    """Read an image as ADE20K and NYUv2 do."""
    return torch.from_numpy(LoadCheckedImage().transform({"img_path": str(path)})["img"])


def checking(path: Path) -> Tensor:
    """Decode an image as `umt data verify` does."""
    return torch.tensor(check_image(path))


READERS: tuple[Read, ...] = (extraction, fine_tuning, distillation, dense)


@pytest.mark.parametrize("write", ODD)
@pytest.mark.parametrize("read", READERS)
def test_odd_images_are_those_that_pillow_converts(tmp_path: Path, write: Callable[[Path], Path], read: Read) -> None:
    """As timm and torchvision do: the first frame, in RGB, its transparency dropped, an orientation not applied."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "plain").mkdir()
    path = write(tmp_path / "odd")
    reference = tmp_path / "plain" / f"{path.stem}.png"
    Image.open(path).convert("RGB").save(reference)
    torch.testing.assert_close(read(path), read(reference), rtol=0, atol=0)


@pytest.mark.parametrize("read", READERS)
def test_16_bits_of_grey_are_their_upper_eight(tmp_path: Path, read: Read) -> None:
    """Pillow cuts them off at 255: nearly all of such an image would be white."""
    values = RNG.integers(0, 1 << 16, (40, 60), dtype=np.uint16)
    (tmp_path / "16").mkdir()
    (tmp_path / "8").mkdir()
    Image.fromarray(values).save(deep := tmp_path / "16" / "grey.png")
    Image.fromarray((values // 256).astype(np.uint8)).save(reference := tmp_path / "8" / "grey.png")
    torch.testing.assert_close(read(deep), read(reference), rtol=0, atol=0)


def write_pipe(folder: Path) -> Path:
    os.mkfifo(path := folder / "pipe.jpg")
    return path


@pytest.mark.parametrize("read", [*READERS, checking])
def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path, read: Read) -> None:
    """Listed while it was an image, as a list of images may be old."""
    rgb().save(tmp_path / "whole.png")
    path = write_pipe(tmp_path)
    if read is distillation:  # which does not list it
        assert len(find_images(tmp_path)) == 1
        return
    with pytest.raises(UMTError, match=r"pipe\.jpg: image cannot be decoded \(is a pipe, not a plain file\); copy it"):
        read(path)


@pytest.mark.parametrize("reader", [LoadCheckedLabels(), LoadCheckedDepth(1e-3, 10.0)])
def test_an_annotation_that_is_a_pipe_is_named(tmp_path: Path, reader: Any) -> None:
    path = write_pipe(tmp_path)
    results = {"img_path": "x.png", "seg_map_path": path, "depth_map_path": path, "ori_shape": (4, 4), "seg_fields": []}
    with pytest.raises(UMTError, match=r"pipe\.jpg: image cannot be decoded \(is a pipe, not a plain file\)"):
        reader.transform(results)


@pytest.mark.parametrize("write", BROKEN)
@pytest.mark.parametrize("read", READERS)
def test_broken_images_are_named(tmp_path: Path, write: Callable[[Path], Path], read: Read) -> None:
    path = write(tmp_path)
    rgb().save(tmp_path / "whole.png")
    with pytest.raises(UMTError, match=rf"{path.name}: image cannot be decoded \(.+\); copy it again, or remove it"):
        read(path)
    rgb().save(path)  # mended, it is read
    (tmp_path / "skipped.txt").unlink(missing_ok=True)
    assert read(path) is not None


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (2, 30_000), (MAX_SIDE_RATIO + 1, 1)])
@pytest.mark.parametrize("read", [*READERS, checking])
def test_an_image_too_long_to_be_resized_is_named(tmp_path: Path, size: tuple[int, int], read: Read) -> None:
    path = write_long(tmp_path, *size)
    rgb().save(tmp_path / "whole.png")
    with pytest.raises(UMTError) as caught:
        read(path)
    shape = f"image of {size[0]}x{size[1]} pixels, longer than {MAX_SIDE_RATIO} times its shorter side"
    assert str(caught.value) == f"{path}: {shape}; cut it into pieces, or remove it"
    write_long(tmp_path, *(min(side, MAX_SIDE_RATIO * min(size)) for side in size))  # cut off, it is read
    (tmp_path / "skipped.txt").unlink(missing_ok=True)
    assert read(path) is not None


def annotated(path: Path, annotation: Image.Image, field: str) -> dict[str, Any]:
    rgb().save(path / "photo.png")
    annotation.save(path / "truth.png")
    return {"img_path": str(path / "photo.png"), field: str(path / "truth.png"), "seg_fields": []}


def labels_of(path: Path, annotation: Image.Image) -> np.ndarray:
    results = annotated(path, annotation, "seg_map_path")
    found: np.ndarray = LoadCheckedLabels().transform(LoadCheckedImage().transform(results))["gt_seg_map"]
    return found


def depth_of(path: Path, annotation: Image.Image) -> np.ndarray:
    results = annotated(path, annotation, "depth_map_path")
    found: np.ndarray = LoadCheckedDepth(1e-3, 10.0).transform(LoadCheckedImage().transform(results))["gt_depth_map"]
    return found


def test_a_class_map_may_have_a_palette(tmp_path: Path) -> None:
    """Its numbers are the labels, whatever colours they are shown in."""
    labels = RNG.integers(0, 151, (40, 60), dtype=np.uint8)
    shown = Image.fromarray(labels)
    shown.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
    np.testing.assert_array_equal(labels_of(tmp_path, shown), labels - np.uint8(1))


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Image.new("RGB", (60, 40)), "shape 40x60x3, its image photo.png has 40x60"),
        (Image.new("L", (60, 40), 151), "label 151, expected 0..150; replace the file"),
        (Image.new("I;16", (60, 40), 40_000), "label 40000, expected 0..150; replace the file"),
        (Image.new("L", (1, 1)), "shape 1x1, its image photo.png has 40x60"),
    ],
)
def test_a_class_map_that_is_none_is_named(tmp_path: Path, annotation: Image.Image, message: str) -> None:
    with pytest.raises(UMTError) as caught:
        labels_of(tmp_path, annotation)
    assert str(caught.value).startswith(f"{tmp_path / 'truth.png'}: {message}")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Image.new("L", (60, 40), 90), "depth of 8 bit, expected a 16-bit PNG, 1000 a metre; convert it"),
        (Image.new("1", (60, 40), 1), "depth of 8 bit"),
        (Image.new("I;16", (60, 40), 0), "no pixel between 0.001 and 10.0 m; remove it and its image"),
        (Image.new("I;16", (60, 40), 65_535), "no pixel between"),
        (Image.new("RGB", (60, 40)), "shape 40x60x3"),
    ],
)
def test_depth_that_is_none_is_named(tmp_path: Path, annotation: Image.Image, message: str) -> None:
    with pytest.raises(UMTError) as caught:
        depth_of(tmp_path, annotation)
    assert str(caught.value).startswith(f"{tmp_path / 'truth.png'}: {message}")
    assert depth_of(tmp_path, Image.new("I;16", (60, 40), 2000)).max() == 2.0
