"""JPEG files to frozen features with a compiled forward, against the eager one; without the time to compile."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.perf.features import LIMITS, SIDE, FeatureSetting
from benchmarks.perf.row import PerfRow
from umt.backbones import Backbone, create_backbone
from umt.features import each_features

TURNS = 4  # over the same files: the first batch, which waits for the compiler, does not count
LIMIT = 1.0


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the models of `features` in the precision of an extraction; minutes on a CPU, most for the compiler."""
    with tempfile.TemporaryDirectory() as folder:
        setting = FeatureSetting.on(device, Path(folder))
        return [row(name, replace(setting, samples=[*setting.samples] * TURNS)) for name in LIMITS]


def row(name: str, setting: FeatureSetting) -> PerfRow:
    """Compare milliseconds an image, with the largest difference of features over the largest feature."""
    backbone = create_backbone(f"timm:{name}?pretrained=false").to(setting.device)
    (eager, expected), (compiled, features) = (_pass(backbone, setting, compiled) for compiled in (False, True))
    difference = float((features - expected).abs().max() / expected.abs().max())
    job = f"JPEG to features, compiled, {name}, {SIDE} px, {setting.extraction.precision}"
    return PerfRow(job, "eager", eager, compiled, LIMIT, f"max difference {difference:.0e}", "ms/image")


def _pass(backbone: Backbone, setting: FeatureSetting, compiled: bool) -> tuple[float, Tensor]:
    """Return the milliseconds of an image after the first batch, and the features of all."""
    # a batch that is passed on has left the GPU, and a clock that waits for the next one would slow the pass
    clock = time.perf_counter if setting.device.type == "cuda" else time.process_time
    times: list[float] = []
    batches: list[Tensor] = []

    def consume(parts: Sequence[Tensor]) -> None:
        times.append(clock())
        batches.extend(parts)

    extraction = replace(setting.extraction, compiled=compiled)
    each_features(
        backbone, setting.samples, extraction, ["pooled"], setting.device, setting.batch, lambda *_: None, consume
    )
    return 1000 * (times[-1] - times[0]) / sum(map(len, batches[1:])), torch.cat(batches)
