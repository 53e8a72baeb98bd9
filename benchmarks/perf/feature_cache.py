"""Features that are read from the cache against computed features: the saving for a second probe of a backbone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.perf.distilling import pictures
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.backbones import create_backbone
from umt.data.contract import Sample
from umt.feature_cache.lookup import cached_features
from umt.features import Extraction
from umt.training.precision import pick_precision

IMAGES = {"cpu": 512, "cuda": 4096}  # fewer than any real data set; most of a hit is hashing the weights


def measure(device: torch.device) -> list[PerfRow]:
    """Measure a hit: at most a hundredth of a miss, its checks and the hash of the weights included."""
    with tempfile.TemporaryDirectory() as folder:
        return [row(device, Path(folder), "timm:resnet50?pretrained=false", IMAGES[device.type])]


def row(device: torch.device, folder: Path, spec: str, count: int) -> PerfRow:
    """Compare miss and hit; the miss is measured once, the hit several times."""
    images = pictures(folder / "pictures", count)
    samples = [Sample(images.path(index), 0) for index in range(count)]
    backbone = create_backbone(spec).to(device)
    extraction = Extraction(224, precision=pick_precision("auto", device))
    results: list[Tensor] = []

    def request() -> None:
        batch = 256 if device.type == "cuda" else 32
        results.extend(
            cached_features(backbone, samples, extraction, ["pooled"], device, batch, _in_silence, folder / "cache")
        )

    (missed,) = interleaved(request, repeats=1, clock=clock_of(device))
    (hit,) = interleaved(request, repeats=5, clock=clock_of(device))
    all_equal = all(torch.equal(features, results[0]) for features in results)
    return PerfRow(
        f"features of {count} images, {spec}", "computed", missed, hit, 100, "equal" if all_equal else "NOT equal"
    )


def _in_silence(done: int, total: int, text: str) -> None:
    """Take the progress, and show none."""
