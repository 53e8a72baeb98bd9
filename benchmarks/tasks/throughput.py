"""The cost of a backbone: images a second, latency, memory, multiply-adds and parameters of its forward."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.memory import peak_bytes
from benchmarks.tasks.contract import Job, Metric, Outcome, Progress, Task
from benchmarks.tasks.workload import Passes, Workload
from umt.backbones import Backbone, Features
from umt.backbones.probing import counted
from umt.training.precision import pick_precision


@dataclass(frozen=True)
class ThroughputSettings:
    """Everything that changes the numbers, beside the device."""

    resolution: int  # pixels; grows to a size that the backbone can take
    batch: int  # images a forward
    warmup: int  # forwards that do not count
    forwards: int  # number of forwards; the fastest counts: other work on the machine only slows down
    precision: str  # as in training: fp32, bf16, fp16, or auto
    compiled: bool = False  # true to time the forward through torch.compile; the warm-up compiles


@dataclass(frozen=True)
class Speed:
    """A measured forward."""

    resolution: int
    precision: str  # fp32, bf16 or fp16
    seconds: list[float]  # of each forward that counts
    batch: int
    gmacs: float  # multiply-adds of an image in 10^9
    memory: int  # bytes at most: weights, images, activations

    @property
    def images_per_second(self) -> float:
        return self.batch / min(self.seconds)


def run(job: Job[ThroughputSettings]) -> Outcome:
    """Time the forward on random pixels: their values change no speed."""
    speed = measure_speed(job.backbone, job.settings, job.device, job.progress)
    return Outcome(
        {
            "images_per_second": speed.images_per_second,
            "latency": 1000 * statistics.median(speed.seconds),
            "memory": speed.memory / 1e6,
            "gmacs": speed.gmacs,
            "parameters": sum(value.numel() for value in job.backbone.parameters()) / 1e6,
        },
        details={
            "resolution": speed.resolution,
            "precision": speed.precision,
            "batch": speed.batch,
            "compiled": job.settings.compiled,
            "seconds": speed.seconds,
            "threads": torch.get_num_threads(),
        },
    )


@torch.no_grad()
def measure_speed(
    backbone: Backbone, settings: ThroughputSettings, device: torch.device, progress: Progress = lambda *report: None
) -> Speed:
    """Time the forward of a backbone on the device, and count its multiply-adds and its memory.

    The memory is that of the forward without a compiler.
    """
    side = backbone.side(settings.resolution)
    images = torch.rand(settings.batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    # without gradients: torch's counter needs that if a model hands a parameter to one of its modules
    backbone = backbone.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    forward = _forward(backbone, images)
    timed = torch.compile(forward, dynamic=False) if settings.compiled else forward
    seconds = []
    precision = pick_precision(settings.precision, device)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        for number in range(settings.warmup + settings.forwards):
            seconds.append(_seconds(timed, device))
            progress(number + 1, settings.warmup + settings.forwards, f"{len(images) / seconds[-1]:.0f} img/s")
        memory = peak_bytes(forward, [images, *backbone.parameters(), *backbone.buffers()], device)
    gmacs = counted(_forward(backbone, images[:1]))[1]  # matrix products, convolutions, attention: torch's counter
    return Speed(side, precision, seconds[settings.warmup :], settings.batch, gmacs, memory)


def _forward(backbone: Backbone, images: Tensor) -> Callable[[], Features]:
    maps = (-1,) if backbone.depth else ()
    return lambda: backbone(images, maps=maps)


def _seconds(forward: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    forward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def workload(settings: ThroughputSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the forwards, with those of the warm-up and the one whose memory is counted."""
    images = settings.batch * (settings.warmup + settings.forwards + 1)
    size = (settings.resolution, settings.resolution)
    return Workload(tested=Passes(images, size, precision=settings.precision))


TASK = Task(
    name="throughput",
    about="images a second, latency, memory, multiply-adds and parameters of the forward",
    settings=ThroughputSettings,
    metrics=(
        Metric("images_per_second", "img/s"),
        Metric("latency", "ms", False),
        Metric("memory", "MB", False),
        Metric("gmacs", "G", False),
        Metric("parameters", "M", False),
    ),
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
