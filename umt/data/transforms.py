"""Image transforms to pixels, and to floats in [0, 1]; the backbone normalises, nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image, ImageOps
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, create_transform
from timm.data.auto_augment import NAME_TO_OP
from torch import Tensor
from torchvision.transforms import v2

from umt.backbones.contract import Preprocess

Transform = Callable[[Image.Image], Tensor]


def eval_pixels(preprocess: Preprocess, resolution: int, crop_pct: float) -> Transform:
    """Return the transform: shorter side to `resolution / crop_pct`, centre crop, as uint8 [3, R, R].

    It scales by the weights' own interpolation, and always the whole image: a JPEG that is decoded at a half or less
    (Pillow's draft mode) gives pixels that are several levels off, even if it is still ten times larger than the crop.
    """
    pixels: Transform = create_transform(
        input_size=(3, resolution, resolution),
        interpolation=preprocess.interpolation,
        crop_pct=crop_pct,
        normalize=False,
    )
    return pixels


def train_transform(
    resolution: int,
    interpolation: str,
    *,
    auto_augment: str | None,
    reprob: float,
    scale: tuple[float, float],
    hflip: float,
) -> Transform:
    """Return the transform: random resized crop, flip, augmentation in timm's notation, erasing: [3, R, R] in [0, 1].

    auto_augment: "rand-m9-mstd0.5-inc1" in MAE's recipe. reprob: chance of erasing a box, filled with normal noise,
    which alone leaves [0, 1].
    scale: range of the crop's share of the image area. hflip: chance of a mirror image.
    """
    teach_timm()
    # timm fills with ImageNet's mean and draws the noise of erased boxes in normalised space: normalise, and undo it.
    augment = create_transform(
        input_size=(3, resolution, resolution),
        is_training=True,
        interpolation=interpolation,
        auto_augment=auto_augment,
        color_jitter=0.0,
        re_prob=reprob,
        re_mode="pixel",
        scale=scale,
        hflip=hflip,
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
    )
    return v2.Compose([augment, v2.Lambda(_undo_normalisation)])


def _undo_normalisation(image: Tensor) -> Tensor:
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    return image.mul_(std).add_(mean)


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
