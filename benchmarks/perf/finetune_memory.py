"""Peak memory of fine-tuning a ViT-B against timm's own training loop, on the same model, batch and precision."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.perf.distill_memory import MIB, peak_bytes
from benchmarks.perf.distilling import pictures
from benchmarks.perf.finetune import IMAGES, FinetuneSetting, our_loop, timms_loop
from benchmarks.perf.row import PerfRow

MODEL = "vit_base_patch16_224"
CPU_BATCH, CPU_STEPS = 4, 2  # the optimiser's state exists from the first step on
LIMIT = 1 / 1.1


def measure(device: torch.device) -> list[PerfRow]:
    """Measure a short training, from its first batch to its end: at most 1.1 of timm's peak."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "images").mkdir()
        pictures(Path(folder) / "images" / "only class", IMAGES)
        setting = FinetuneSetting.on(device, MODEL, Path(folder), None)
        if device.type == "cpu":
            sizes: dict[str, Any] = {
                "batch": CPU_BATCH,
                "device_batch": CPU_BATCH,
                "epochs": CPU_STEPS * CPU_BATCH / IMAGES,
            }
            setting = replace(setting, settings=replace(setting.settings, **sizes))
        return [row(setting)]


def row(setting: FinetuneSetting) -> PerfRow:
    """Compare peaks above the weights: gradients, the optimiser's state, activations and whatever is copied."""
    theirs, ours = (peak_bytes(loop(setting), setting.device) / MIB for loop in (timms_loop, our_loop))
    job = f"peak memory of fine-tuning, {setting.model}, {setting.settings.batch} images, {setting.precision}"
    return PerfRow(job, "timm's training loop, channels_last", theirs, ours, LIMIT, unit="MiB")
