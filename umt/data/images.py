"""Images with class labels as a torch Dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from umt.data.contract import LabelledImages, Sample
from umt.data.shards.lookup import open_image
from umt.errors import DataError, UMTError, first_line

# Longer side over shorter, wide beyond any panorama. The shorter side is scaled to a model's resolution, and
# nothing else limits the longer: here 512 pixels give 79 MB, while 1x20000, a file of a few bytes, would give 16 GB.
MAX_SIDE_RATIO = 100


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image that is decoded at its use; UMTError if the file is missing, damaged, no image or too elongated.

    The file stays open as long as the context does. A pipe or a device is no image, and reading a pipe would block.
    """
    try:
        with open_image(path) as file, Image.open(file) as image:
            _check_shape(path, *image.size)
            yield image
    except UMTError:
        raise
    except Exception as error:  # each format and each kind of damage raises its own
        raise DataError(f"{path}: image cannot be decoded ({_reason(error)}); copy it again, or remove it") from error


def decode(path: Path) -> Image.Image:
    """Return the decoded image in its own mode; UMTError as `opened` gives it."""
    with opened(path) as image:
        image.load()
        return image


def decode_rgb(path: Path, box: Sequence[float] | None = None) -> Image.Image:
    """Return the decoded image in RGB, or the part that a box names as in `Sample`; UMTError as `opened` gives it."""
    with opened(path) as image:
        return to_rgb(image if box is None else _boxed(image, *box))


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to eight bits of red, green and blue, as Pillow does; ValueError for floats, whose white is unknown.

    16 bits of grey give their upper eight: Pillow would cut at 255, and most of the image would be white.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floats, not colours")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")  # it copies even if nothing changes


class ImageSamples(Dataset[tuple[Tensor, int]]):
    """Samples as (transformed image, class index).

    Images are converted to RGB. An EXIF orientation is not applied, as in torchvision's ImageFolder, with which the
    published numbers were made.
    """

    def __init__(self, samples: Sequence[Sample], transform: Callable[[Image.Image], Tensor]) -> None:
        # Two flat arrays: a million Python objects would be copied into every worker as their reference counts change.
        images = LabelledImages.of(samples)
        self.paths, self.labels, self.boxes = images.paths, images.targets, images.boxes
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        box = None if self.boxes is None else self.boxes[index].tolist()
        image = decode_rgb(Path(os.fsdecode(self.paths[index])), box)
        return self.transform(image), int(self.labels[index])


def _boxed(image: Image.Image, left: float, upper: float, right: float, lower: float) -> Image.Image:
    """Return the part of an image in a box, as far as it lies in the image; ValueError if nothing of it does."""
    width, height = image.size
    edges = (left, upper, right if right > 0 else width + right, lower if lower > 0 else height + lower)
    x0, y0, x1, y1 = (min(max(round(edge), 0), side) for edge, side in zip(edges, 2 * image.size, strict=True))
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"nothing of it lies in the box {left:g}, {upper:g}, {right:g}, {lower:g}")
    return image.crop((x0, y0, x1, y1))


def _reason(error: Exception) -> str:
    """Return the cause of an error without the file's name, or its number, which Pillow gives."""
    if isinstance(error, UnidentifiedImageError):
        return "it is no image, or of an unknown format"
    return error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)


def _check_shape(path: Path, width: int, height: int) -> None:
    """Check the shape of an image before it is decoded."""
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise DataError(
            f"{path}: image of {width}x{height} pixels, longer than {MAX_SIDE_RATIO} times its shorter side; "
            "cut it into pieces, or remove it"
        )
