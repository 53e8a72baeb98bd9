"""The speed of a backbone on a device: from a result of the task `throughput`, or measured here in a few forwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.environment import describe
from benchmarks.results import Result, ResultStore, read_result
from benchmarks.tasks.throughput import ThroughputSettings, measure_speed
from umt.backbones import Backbone
from umt.errors import UMTError

SHORT_TIMING = (1, 3)  # forwards that warm up, and that count
MAX_CPU_BATCH = 8  # images at most: on a CPU more are no faster, and take long


def seconds_per_gmac(
    backbone: Backbone,
    precisions: Iterable[str],
    settings: ThroughputSettings,
    device: torch.device,
    results: Iterable[Result],
) -> dict[str, float]:
    """Return the seconds of 10^9 multiply-adds in a forward of the backbone, by precision.

    The first result that fits counts; without any it is measured with the threads that torch has.
    """
    stored = _stored(backbone.weights_hash(), device, results)
    return {
        precision: stored[precision] if precision in stored else _measured(backbone, precision, settings, device)
        for precision in precisions
    }


def readable_results(folders: Iterable[Path]) -> Iterator[Result]:
    """Yield the results below these folders; a file that cannot be read is left out."""
    for folder in folders:
        for path in ResultStore(folder).paths():
            with suppress(UMTError):
                yield read_result(path)


def _stored(weights: str, device: torch.device, results: Iterable[Result]) -> dict[str, float]:
    """Return the speeds, by precision, of results of these weights on such a device with as many threads.

    Forwards of one image, and compiled ones, are no measure of a job.
    """
    machine = describe(device).device, torch.get_num_threads()
    speeds: dict[str, float] = {}
    for result in results:
        same_machine = (result.environment.device, result.details.get("threads")) == machine
        gmacs = math.prod(result.metrics.get(name, 0.0) for name in ("images_per_second", "gmacs"))  # a second
        unlike = result.details.get("batch", MAX_CPU_BATCH) == 1 or result.details.get("compiled", False)
        same_weights = result.key.task == "throughput" and result.key.weights_hash == weights
        if same_weights and same_machine and gmacs > 0 and not unlike:
            speeds.setdefault(str(result.details.get("precision")), 1 / gmacs)
    return speeds


def _measured(backbone: Backbone, precision: str, settings: ThroughputSettings, device: torch.device) -> float:
    batch = min(settings.batch, MAX_CPU_BATCH) if device.type == "cpu" else settings.batch
    warmup, forwards = SHORT_TIMING
    short = replace(settings, warmup=warmup, forwards=forwards, batch=batch, precision=precision, compiled=False)
    speed = measure_speed(backbone.to(device), short, device)
    return 1 / (speed.images_per_second * speed.gmacs)
