"""Speed of loading: a batch of views from JPEG files against the training step that uses it."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import torch

from benchmarks.perf.distilling import DistillSetting, build_distiller, loader, pictures, step, workers
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.distill.distiller import Distiller
from umt.distill.images import Skipped, ViewImages

BATCHES = 4  # for each worker, so that its start counts little


def measure(device: torch.device) -> list[PerfRow]:
    """Measure loading, which must take less than the step that runs beside it."""
    setting = DistillSetting.on(device)
    model = build_distiller(setting)
    if device.type == "cuda":
        model.compile_parts()
    return [row(setting, model)]


def row(setting: DistillSetting, model: Distiller) -> PerfRow:
    """Compare the seconds of a batch in each, a loader's start included."""
    running = step(setting, model, setting.views())
    running()
    batches = BATCHES * max(1, workers(setting))
    with tempfile.TemporaryDirectory() as folder:
        images = pictures(Path(folder) / "pictures", setting.batch)
        views = ViewImages(images, setting.recipe.views, setting.recipe.seed, Skipped(Path(folder) / "skipped.txt", 1))

        def load() -> None:
            for _ in islice(loader(setting, views), batches):
                pass

        step_seconds, seconds = interleaved(running, load, repeats=setting.repeats, clock=clock_of(setting.device))
    return PerfRow(
        f"loading {setting.batch} views, {workers(setting)} worker processes",
        f"their step, {setting.precision}",
        step_seconds,
        seconds / batches,
        limit=1,
        note=f"{setting.batch * batches / seconds:.4g} views/s for {setting.batch / step_seconds:.4g} images/s",
    )
