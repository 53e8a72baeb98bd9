"""Feature maps of whole images, one batch after the other: too many to be kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from benchmarks.tasks.contract import Job, Settings
from umt.data.contract import Sample
from umt.data.images import ImageSamples
from umt.errors import NotFiniteError
from umt.features import each_batch

BATCH = {"cpu": 8, "cuda": 64}  # images a forward; the size changes no number

Resize = Callable[[Image.Image], Tensor]  # to uint8 [3, H, W]
Consume = Callable[[int, Tensor], None]  # of the index of the first image, and maps [B, C, H, W] on the CPU
Square = Callable[[Image.Image, int], Tensor]  # of an image and a side in pixels: uint8 [3, side, side]


def squeezed(image: Image.Image, side: int) -> Tensor:
    """Return the whole image as uint8 [3, side, side], its aspect given up, bilinear and antialiased."""
    return pil_to_tensor(image.resize((side, side), Image.Resampling.BILINEAR))


def each_map(
    job: Job[Settings],
    samples: Sequence[Sample],
    side: int,
    consume: Consume,
    index: int = -1,
    square: Square = squeezed,
) -> None:
    """Pass a map of whole images made square, by default squeezed, to `consume`, as `each_resized_map` does."""
    each_resized_map(job, samples, lambda image: square(image, side), consume, index)


def each_resized_map(
    job: Job[Settings], samples: Sequence[Sample], resize: Resize, consume: Consume, index: int = -1
) -> None:
    """Pass a map of the frozen backbone to `consume`, batch by batch in order of the samples.

    `resize` gives all of these images one size.
    """
    images = ImageSamples([replace(sample, target=0) for sample in samples], resize)
    backbone = job.backbone.to(job.device).eval()
    done = 0

    def take(batch: Sequence[Tensor]) -> None:
        nonlocal done
        (maps,) = batch
        _check_finite(maps, samples[done : done + len(maps)], job)
        consume(done, maps)
        done += len(maps)

    def forward(pixels: Tensor) -> list[Tensor]:
        return [backbone(pixels, maps=(index,)).maps[0]]

    each_batch(images, forward, job.device, BATCH.get(job.device.type, 8), job.progress, take)


def resized_labels(labels: np.ndarray, side: int) -> np.ndarray:
    """Return class indices [side, side] of [H, W], each from the nearest pixel as torch's `nearest` takes it."""
    picked = torch.nn.functional.interpolate(torch.from_numpy(labels)[None, None], size=(side, side), mode="nearest")
    return picked[0, 0].numpy()


def _check_finite(maps: Tensor, samples: Sequence[Sample], job: Job[Settings]) -> None:
    bad = ~maps.flatten(1).isfinite().all(dim=1)
    if bad.any():
        raise NotFiniteError(
            f"{samples[int(bad.nonzero()[0])].image}: backbone '{job.backbone.spec}' gives features that are not "
            "finite; check its weights"
        )
