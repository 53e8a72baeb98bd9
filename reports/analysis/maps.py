"""Token maps of images by backbones at resolutions, and their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import to_dtype

from reports.analysis.named import NamedBackbone
from umt.analysis.pictures import stability
from umt.analysis.token_map import TokenMap, token_map
from umt.backbones.contract import Preprocess, round_up
from umt.data.contract import Sample
from umt.data.images import opened
from umt.errors import SizeError
from umt.features import eval_images

MIN_SIDE = 32  # pixels of an image's shorter side: less is enlarged blur
PHOTO_SIDE = 512  # pixels of the photograph beside the maps


@dataclass(frozen=True)
class ImageMap:
    """An image at a resolution, through one backbone."""

    image: Path
    resolution: int  # the requested one; `map.side` is the nearest that fits the backbone's patches
    label: str
    map: TokenMap

    @property
    def note(self) -> str:
        """Grid, pixels, and the number of tiles if the image was cut."""
        rows, columns = self.map.fmap.shape[1:]
        tiles = f", {self.map.tiles} tiles" if self.map.tiles > 1 else ""
        return f"{rows}x{columns} tokens at {self.map.side} px{tiles}"

    @property
    def record(self) -> dict[str, Any]:
        return {
            "image": self.image.name,
            "backbone": self.label,
            "resolution": self.resolution,
            "pixels": self.map.side,
            "grid": list(self.map.fmap.shape[1:]),
            "tiles": self.map.tiles,
        }


def token_maps(
    backbones: Sequence[NamedBackbone],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    index: int,
    device: torch.device,
    progress: Callable[[int, int], None],
) -> list[ImageMap]:
    """Compute every backbone's map `index` of every image at every resolution.

    Raises UMTError if an image is damaged or too small, or if a backbone has no such map.
    """
    for image in images:
        _check_size(image)
    maps: list[ImageMap] = []
    for item in backbones:
        item.backbone.to(device).eval()
        for image in images:
            for resolution in resolutions:
                pixels = square(image, item.backbone.preprocess, resolution).to(device)
                tokens = token_map(item.backbone, pixels, max_tokens, index)
                maps.append(ImageMap(image, resolution, item.label, tokens))
                progress(len(maps), len(backbones) * len(images) * len(resolutions))
    return maps


def square(image: Path, preprocess: Preprocess, resolution: int) -> Tensor:
    """Return the largest centred square [3, R, R] in [0, 1], by the weights' own interpolation; R fits the patches."""
    side = round_up(resolution, preprocess.size_multiple)
    pixels, _ = eval_images([Sample(image, 0)], preprocess, side, 1.0)[0]
    return to_dtype(pixels, torch.float32, scale=True)


def photograph(image: Path, preprocess: Preprocess) -> np.ndarray:
    """Return the same square for people, [PHOTO_SIDE, PHOTO_SIDE, 3]."""
    shown = square(image, preprocess, PHOTO_SIDE)[None]
    small = F.interpolate(shown, size=(PHOTO_SIDE, PHOTO_SIDE), mode="bilinear", antialias=True)[0]
    pixels: np.ndarray = small.clamp(0, 1).movedim(0, -1).numpy()
    return pixels


def stabilities(maps: Sequence[ImageMap]) -> list[dict[str, Any]]:
    """Compute the stability between each two neighbouring resolutions of an image through a backbone."""
    groups: dict[tuple[Path, str], list[ImageMap]] = {}
    for item in sorted(maps, key=lambda item: item.resolution):
        groups.setdefault((item.image, item.label), []).append(item)
    return [
        {
            "image": image.name,
            "backbone": label,
            "resolutions": [low.resolution, high.resolution],
            **stability(low.map, high.map),
        }
        for (image, label), group in groups.items()
        for low, high in pairwise(group)
    ]


def _check_size(image: Path) -> None:
    with opened(image) as picture:
        width, height = picture.size
    if min(width, height) < MIN_SIDE:
        raise SizeError(f"{image}: {width}x{height} pixels; take an image whose shorter side has at least {MIN_SIDE}")
