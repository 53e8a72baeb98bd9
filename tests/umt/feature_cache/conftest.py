"""A small backbone, generated images, and a cache that counts what is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from umt.backbones import Backbone, create_backbone
from umt.data.contract import Sample
from umt.feature_cache.lookup import cached_features
from umt.features import Extraction

CPU = torch.device("cpu")


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    found = []
    for index in range(10):
        Image.fromarray(rng.integers(0, 256, (40, 44 + index, 3), dtype=np.uint8)).save(folder / f"{index}.png")
        found.append(Sample(folder / f"{index}.png", index % 3))
    return found


@pytest.fixture
def backbone() -> Backbone:
    return create_backbone("timm:test_resnet?pretrained=false")


@dataclass
class Asker:
    """Asks a cache for features; `computed` has the images done and the total at each report of progress."""

    folder: Path | None
    backbone: Backbone
    samples: list[Sample]
    computed: list[tuple[int, int, str]] = field(default_factory=list)

    def __call__(self, extraction: Extraction = Extraction(32), batch: int = 4) -> Tensor:  # noqa: B008 (frozen)
        self.computed.clear()
        report = lambda done, total, text: self.computed.append((done, total, text))  # noqa: E731
        parts = [extraction.what]
        (found,) = cached_features(self.backbone, self.samples, extraction, parts, CPU, batch, report, self.folder)
        return found

    @property
    def entries(self) -> list[Path]:
        assert self.folder
        return sorted(self.folder.glob("*.npy"))


@pytest.fixture
def ask(tmp_path: Path, backbone: Backbone, samples: list[Sample]) -> Callable[..., Tensor]:
    return Asker(tmp_path / "cache", backbone, samples)
