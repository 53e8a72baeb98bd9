"""A step of timm's augmentations that Pillow 13 refuses."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageOps
from timm.data.auto_augment import NAME_TO_OP


def posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """Keep so many bits of each channel; all of them, or none: black, which Pillow gave before it required a bit.

    timm asks for none at the greatest magnitude of its increasing severity, so about once in 600 images of
    rand-m9-mstd0.5-inc1.
    """
    if bits <= 0:
        return Image.new(image.mode, image.size)
    return image if bits >= 8 else ImageOps.posterize(image, bits)


def teach_timm() -> None:
    """Make timm's augmentations use this step, in all pipelines that are built from now on."""
    NAME_TO_OP.update({name: posterize for name in NAME_TO_OP if name.startswith("Posterize")})
