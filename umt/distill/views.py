"""Augmented views as pure functions of (seed, image, visit): a view can be named, stored and drawn again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from umt.distill.recipe import ViewSpec


@dataclass(frozen=True)
class View:
    """Position of a view, in shares of the image's width and height, and its changes of mirror and colours."""

    left: float
    top: float
    width: float
    height: float
    flip: float  # 1 for a mirror image, else 0
    brightness: float  # factors, 1 for no change
    contrast: float
    saturation: float

    def numbers(self) -> tuple[float, ...]:
        """Return all fields, as a cache stores them; `View(*numbers)` is the same view."""
        return astuple(self)


NUMBERS = 8  # numbers that describe a view


def draw_view(spec: ViewSpec, seed: int, image: int, visit: int, aspect: float) -> View:
    """Draw the view of image number `image` on its `visit`-th showing; `aspect` is the image's width over its height.

    A random resized crop as in torchvision: ten tries for a box inside the image, else the largest at the centre.
    """
    rng = np.random.default_rng((seed, image, visit))
    box = _box(spec, rng, aspect)
    flip = float(rng.random() < spec.hflip)
    factors = 1 + spec.jitter * rng.uniform(-1, 1, 3)
    # rounded to what a cache stores, so that a stored view and a drawn one are the same
    return View(*np.array([*box, flip, *factors], dtype=np.float32).tolist())


def render(view: View, image: Image.Image, size: int) -> Tensor:
    """Render the view of an RGB image: uint8 [3, size, size]."""
    wide, high = image.size
    left, top = view.left * wide, view.top * high
    box = (left, top, min(left + view.width * wide, wide), min(top + view.height * high, high))
    shown = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    if view.flip:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance, factor in _changes(view):
        shown = enhance(shown).enhance(factor)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1).contiguous()


def _box(spec: ViewSpec, rng: np.random.Generator, aspect: float) -> tuple[float, float, float, float]:
    """Draw left, top, width and height of a crop in shares of the image's width and height."""
    low, high = spec.ratio
    for _ in range(10):
        area = rng.uniform(*spec.scale)
        ratio = math.exp(rng.uniform(math.log(low), math.log(high))) / aspect
        width, height = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if width <= 1 and height <= 1:
            return rng.random() * (1 - width), rng.random() * (1 - height), width, height
    width, height = min(1.0, high / aspect), min(1.0, aspect / low)
    return (1 - width) / 2, (1 - height) / 2, width, height


def _changes(view: View) -> list[tuple[Callable[[Image.Image], ImageEnhance._Enhance], float]]:
    factors: tuple[tuple[Callable[[Image.Image], ImageEnhance._Enhance], float], ...] = (
        (ImageEnhance.Brightness, view.brightness),
        (ImageEnhance.Contrast, view.contrast),
        (ImageEnhance.Color, view.saturation),
    )
    return [(enhance, factor) for enhance, factor in factors if factor != 1]
