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

from reports.analysis.named import Named
from umt.analysis.pictures import stability
from umt.analysis.token_map import TokenMap, token_map
from umt.backbones.contract import Preprocess, round_up
from umt.data.contract import Sample
from umt.data.images import opened
from umt.errors import SizeError
from umt.features import eval_images

SMALLEST = 32  # pixels of an image's shorter side: less is enlarged blur
PHOTO = 512  # pixels of the photograph beside the maps


@dataclass(frozen=True)
class Seen:
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


def see(
    named: Sequence[Named],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    device: torch.device,
    progress: Callable[[int, int], None],
) -> list[Seen]:
    """Compute every backbone's map of every image at every resolution; UMTError if an image is damaged or too small."""
    for image in images:
        _check_size(image)
    seen: list[Seen] = []
    for one in named:
        one.backbone.to(device).eval()
        for image in images:
            for resolution in resolutions:
                pixels = square(image, one.backbone.preprocess, resolution).to(device)
                seen.append(Seen(image, resolution, one.label, token_map(one.backbone, pixels, max_tokens)))
                progress(len(seen), len(named) * len(images) * len(resolutions))
    return seen


def square(image: Path, preprocess: Preprocess, resolution: int) -> Tensor:
    """Return the largest centred square [3, R, R] in [0, 1], by the weights' own interpolation; R fits the patches."""
    side = round_up(resolution, preprocess.size_multiple)
    pixels, _ = eval_images([Sample(image, 0)], preprocess, side, 1.0)[0]
    return to_dtype(pixels, torch.float32, scale=True)


def photograph(image: Path, preprocess: Preprocess) -> np.ndarray:
    """Return the same square for people, [PHOTO, PHOTO, 3]."""
    shown = square(image, preprocess, PHOTO)[None]
    small = F.interpolate(shown, size=(PHOTO, PHOTO), mode="bilinear", antialias=True)[0]
    pixels: np.ndarray = small.clamp(0, 1).movedim(0, -1).numpy()
    return pixels


def stabilities(seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """Compute the stability between each two neighbouring resolutions of an image through a backbone."""
    groups: dict[tuple[Path, str], list[Seen]] = {}
    for one in sorted(seen, key=lambda one: one.resolution):
        groups.setdefault((one.image, one.label), []).append(one)
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
    with opened(image) as found:
        width, height = found.size
    if min(width, height) < SMALLEST:
        raise SizeError(f"{image}: {width}x{height} pixels; its shorter side must have {SMALLEST} at least")
