"""Correspondence against the loops of probe3d, in one run: PCK with its forwards, and matches of two views."""

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
from umt.correspondence.views import match
from umt.data.pairs import KeypointPair

THRESHOLD = 0.1
GRID = (120, 160)  # rows, columns of the points of ScanNet's frames that are matched
MATCHES = 1000
BLOCK = 2048  # points of the peer's that look at a time, so that its similarities fit into memory
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
    """Measure forwards and matching of a class, the matching alone, and that of ScanNet's views."""
    return [
        row(Album(), device),
        matching_row(Album(images=26, side=800), device),
        views_row((16, 21), device, limit=3),  # 224 pixels
        views_row((34, 45), device, limit=2),  # 480x640 pixels
    ]


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


def views_row(cells: tuple[int, int], device: torch.device, limit: float) -> PerfRow:
    """Compare with similarities of enlarged features, on two maps of so many rows and columns that share a scene."""
    generator = torch.Generator().manual_seed(0)
    scene, *changes = torch.randn((3, 384, *cells), generator=generator).to(device)
    maps = scene + changes[0] / 2, scene + changes[1] / 2
    measured = torch.rand((2, *GRID), generator=generator) > 0.1
    pairs: dict[str, dict[int, int]] = {}

    def ours() -> None:
        matches = match(maps, (measured[0], measured[1]), MATCHES, "bilinear")
        pairs["ours"] = dict(zip(matches.source.tolist(), matches.target.tolist(), strict=True))

    def theirs() -> None:
        source, target = (_their_features(fmap, depths) for fmap, depths in zip(maps, measured, strict=True))
        nearest = [(block @ target.T).topk(2) for block in source.split(BLOCK)]
        distances = 1 - torch.cat([values for values, _ in nearest])
        _, rows = (1 - distances[:, 0] / distances[:, 1].clamp(min=1e-9)).topk(MATCHES)
        columns = torch.cat([indices[:, 0] for _, indices in nearest])[rows]
        pairs["theirs"] = dict(zip(rows.tolist(), columns.tolist(), strict=True))

    theirs_seconds, ours_seconds = interleaved(theirs, ours, repeats=3, clock=clock_of(device))
    common = len(pairs["ours"].items() & pairs["theirs"].items())
    title = f"ScanNet, matching of {GRID[0]}x{GRID[1]} points on maps of {cells[0]}x{cells[1]} cells"
    note = f"{common} of {MATCHES} matches equal"
    return PerfRow(title, "enlarged features", theirs_seconds, ours_seconds, limit=limit, note=note)


def _their_features(fmap: Tensor, measured: Tensor) -> Tensor:
    """Repeat evaluate_scannet_correspondence.py: enlarged maps, at the points with a depth, of norm 1."""
    features = F.interpolate(fmap[None], size=GRID, mode="bilinear")[0]
    return F.normalize(features[:, measured.to(fmap.device)].T, dim=1)
