"""A step with targets from a cache, against a step whose teachers run, and against a step that reads nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.perf.distilling import DistillSetting, build_distiller, loader, pictures, step
from benchmarks.perf.machine import clock_of, peak_share, waiting_clock_of
from benchmarks.perf.row import PerfRow, TimedBatches, interleaved
from umt.backbones.contract import Backbone
from umt.distill.cache.cache import CachedViews
from umt.distill.cache.writer import fill, plan_cache
from umt.distill.distiller import Distiller
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared
from umt.distill.teachers.teacher import Teacher


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the step: at least 2.9 times as fast as with teachers, at most 1.1 of the student's own time."""
    setting = DistillSetting.on(device)
    return rows(setting, build_distiller(setting))


def rows(setting: DistillSetting, model: Distiller) -> list[PerfRow]:
    """Compare the three steps; loading is part of both steps that load, and JPEGs are decoded in both."""
    with tempfile.TemporaryDirectory() as folder:
        online, cached = _datasets(setting, model.student, model.teachers, Path(folder))
        stored = TimedBatches(loader(setting, cached), waiting_clock_of(setting.device))
        at_hand = _moved(model, next(loader(setting, cached)))
        steps = (
            _reading(setting, model, loader(setting, online)),
            _reading(setting, model, stored),
            step(setting, model, at_hand["images"], at_hand["targets"]),
        )
        for function in steps:
            function()
        stored.seconds = 0.0
        teachers, ours, student = interleaved(*steps, repeats=setting.repeats, clock=clock_of(setting.device))
        peak = peak_share(steps[2], ours, setting.device, setting.precision)
    job = f"distillation step with cached targets, {setting.batch} images, eager, {setting.precision}"
    peers = {"teachers running": (teachers, 2.9), "the student's own, nothing to read": (student, 1 / 1.1)}
    waited = stored.seconds / setting.repeats
    return [
        PerfRow(job, peer, theirs, ours, limit, peak_share=peak, loader_share=waited / ours)
        for peer, (theirs, limit) in peers.items()
    ]


def _datasets(
    setting: DistillSetting, student: Backbone, teachers: tuple[Teacher, ...], folder: Path
) -> tuple[ViewImages, CachedViews]:
    """Make one batch of pictures, as views and as views with cached targets."""
    recipe, images = setting.recipe, pictures(folder / "pictures", setting.batch)
    skipped = Skipped(folder / "skipped.txt", len(images))
    views = ViewImages(images, recipe.views, recipe.seed, skipped)
    prepared = Prepared(recipe, images, student, folder)
    manifest = plan_cache(prepared, teachers, folder / "cache", visits=1, shard=setting.batch, pixels=False)
    fill(prepared, teachers, manifest, views, folder / "cache", setting.device, setting.batch, lambda done, total: None)
    return views, CachedViews(folder / "cache", manifest, images, recipe.views.size, skipped)


def _reading(setting: DistillSetting, model: Distiller, batches: Iterator[dict[str, Any]]) -> Callable[[], None]:
    def run() -> None:
        batch = _moved(model, next(batches))
        step(setting, model, batch["images"], batch.get("targets"))()

    return run


def _moved(model: Distiller, batch: dict[str, Any]) -> dict[str, Any]:
    moved: dict[str, Any] = model.data_preprocessor(batch, True)
    return moved
