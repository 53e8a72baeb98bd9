"""PCK of keypoint pairs, features included, against the per-pair loop of probe3d, in one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.backbones import create_backbone
from umt.correspondence.keypoints import Canvas, keypoint_errors
from umt.data.pairs import KeypointPair

THRESHOLD = 0.1
SIZE = (500, 375)  # width, height of the images that SPair-71k takes from PASCAL VOC

Extract = Callable[[Tensor], Tensor]  # maps [B, C, H, W] of images [B, 3, H, W]


@dataclass(frozen=True)
class Album:
    """Random images of a class, all ordered pairs of them, and the network; a class of SPair-71k has 26 images."""

    images: int = 6
    keypoints: int = 9
    side: int = 256
    spec: str = "timm:vit_small_patch16_224?pretrained=false"

    def pairs(self) -> list[KeypointPair]:
        """Return the pairs, with keypoints anywhere."""
        rng = np.random.default_rng(0)
        points = rng.integers(0, SIZE, (self.images, self.keypoints, 2)).astype(np.float64)
        paths = [Path(str(number)) for number in range(self.images)]
        blank = KeypointPair(
            "", "cat", (paths[0], paths[0]), (SIZE, SIZE), (points[0], points[0]), (50, 50, 450, 350), 0
        )
        return [
            replace(blank, images=(paths[source], paths[target]), points=(points[source], points[target]))
            for source, target in permutations(range(self.images), 2)
        ]


def measure(device: torch.device) -> list[PerfRow]:
    """Measure forwards and matching of a class, and the matching alone."""
    return [row(Album(), device), matching_row(Album(images=26, side=800), device)]


def row(album: Album, device: torch.device) -> PerfRow:
    """Compare both with the forwards of a ViT-S: the peer sends each pair through the network."""
    pixels = torch.rand((album.images, 3, album.side, album.side), generator=torch.Generator().manual_seed(0))
    backbone = create_backbone(album.spec, trusted=True).to(device).eval()

    def extract(images: Tensor) -> Tensor:
        return backbone(images.to(device), maps=(-1,)).maps[0]

    return _compared("forwards and matching", album, pixels, extract, device, limit=5)


def matching_row(album: Album, device: torch.device) -> PerfRow:
    """Compare both on maps that are there: the products alone, for which nothing is saved but calls."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn((album.images, 384, album.side // 16, album.side // 16), generator=generator).to(device)
    return _compared("matching alone", album, maps, lambda images: images, device, limit=1)


@torch.no_grad()
def _compared(job: str, album: Album, inputs: Tensor, extract: Extract, device: torch.device, limit: float) -> PerfRow:
    pairs, canvas = album.pairs(), Canvas(album.side, "corners")
    recalls: dict[str, float] = {}

    def ours() -> None:
        maps = {Path(str(index)): F.normalize(extract(image[None]), dim=1)[0] for index, image in enumerate(inputs)}
        errors = np.concatenate(keypoint_errors(maps, pairs, canvas))
        recalls["ours"] = 100 * float((errors < THRESHOLD).mean())

    def theirs() -> None:
        errors = torch.cat([_their_errors(pair, inputs, extract, album.side) for pair in pairs])
        recalls["theirs"] = 100 * (errors < THRESHOLD).float().mean().item()

    theirs_seconds, ours_seconds = interleaved(theirs, ours, repeats=2, clock=clock_of(device))
    note = f"PCK {recalls['ours']:.4f} and {recalls['theirs']:.4f}"
    title = f"SPair-71k, {job}, {album.images} images, {len(pairs)} pairs at {album.side} pixels"
    return PerfRow(title, "probe3d's loop", theirs_seconds, ours_seconds, limit=limit, note=note)


def _their_errors(pair: KeypointPair, inputs: Tensor, extract: Extract, side: int) -> Tensor:
    """Repeat compute_errors of evaluate_spair_correspondence.py: two forwards, and a heatmap of each keypoint."""
    rows = [int(path.name) for path in pair.images]
    features = F.normalize(extract(inputs[rows]), p=2, dim=1)
    source, target = ((torch.from_numpy(points) * side / SIZE[0]).int().float() / side for points in pair.points)
    grid = (source * 2 - 1)[None, None].to(features.device)
    queries = F.grid_sample(features[0][None], grid, mode="bilinear", align_corners=True)[0, :, 0].t()
    heatmaps = torch.einsum("kf,fhw->khw", queries, features[1])
    best = heatmaps.flatten(1).argmax(dim=1)
    width = features.shape[-1]
    predicted = torch.stack((best % width, best // width), dim=-1).float().cpu() / width
    errors = (predicted[:, None, :] - target[None]).norm(p=2, dim=-1)
    return errors.diagonal() / ((pair.box[2] - pair.box[0]) / SIZE[0])
