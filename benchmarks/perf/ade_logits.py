"""Inputs of the ADE20K benchmarks: noise, smooth regions, and logits of a head trained on real photographs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from umt.backbones import create_backbone

CLASSES = 150
SIZE = (256, 352)  # size of the photographs
STEPS = 60


def noise(grid: tuple[int, int]) -> Tensor:
    """Draw independent values at every node, without regions: the hardest class maps there are."""
    return torch.randn(CLASSES, *grid, generator=torch.Generator().manual_seed(0))


def regions(grid: tuple[int, int]) -> Tensor:
    """Draw smooth values with noise on them: some 50 regions, as in a photograph."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, CLASSES, 8, 8, generator=generator) * 3
    detail = torch.randn(CLASSES, *grid, generator=generator) * 0.3
    return interpolate(coarse, size=grid, mode="bicubic")[0] + detail


def real_data() -> Path | None:
    """Return the folder with real photographs."""
    folder = os.environ.get("UMT_REAL_DATA")
    return Path(folder) if folder else None


def trained_logits(folder: Path, count: int) -> list[Tensor]:
    """Return logits [150, 8, 11] of `count` photographs; 12 others trained the linear head for `STEPS` steps."""
    images = sorted((folder / "nyu_as_ade150/images/training").glob("*.jpg"))[: 12 + count]
    backbone = create_backbone("pypi:tf_efficientnet_lite0").eval()
    with torch.no_grad():
        maps = torch.cat([backbone(_pixels(path, Image.Resampling.BILINEAR), maps=(-1,)).maps[-1] for path in images])
    labels = torch.stack([_labels(path) for path in images[:12]])
    head = _train(maps[:12], labels)
    with torch.no_grad():
        return list(head.eval()(maps[12:]))


def _train(maps: Tensor, labels: Tensor) -> torch.nn.Module:
    torch.manual_seed(0)
    channels = maps.shape[1]
    head = torch.nn.Sequential(torch.nn.BatchNorm2d(channels), torch.nn.Conv2d(channels, CLASSES, 1))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    small = interpolate(labels[:, None].float(), size=maps.shape[2:], mode="nearest")[:, 0].long()
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(maps), small, ignore_index=255).backward()
        optimizer.step()
    return head


def _pixels(path: Path, resampling: Image.Resampling) -> Tensor:
    image = Image.open(path).convert("RGB").resize(SIZE[::-1], resampling)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


def _labels(path: Path) -> Tensor:
    """Return ADE20K's ids less one; 0, unlabelled, becomes 255."""
    annotation = Image.open(path.parents[2] / "annotations/training" / f"{path.stem}.png")
    ids = np.array(annotation.resize(SIZE[::-1], Image.Resampling.NEAREST)).astype(np.uint8)
    return torch.from_numpy(ids - np.uint8(1)).long()
