"""The cost of a backbone: images a second, multiply-adds and parameters of its forward."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from umt.backbones import Backbone
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


@torch.no_grad()
def run(job: Job) -> Outcome:
    """Time the forward on random pixels: their values change no speed."""
    settings: ThroughputSettings = job.settings
    side = job.backbone.side(settings.resolution)
    images = torch.rand(settings.batch, 3, side, side, device=job.device).contiguous(memory_format=torch.channels_last)
    # without gradients: torch's counter needs that if a model hands a parameter to one of its modules
    backbone = job.backbone.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    seconds = []
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(pick_precision(settings.precision, job.device))
    with torch.autocast(job.device.type, dtype, enabled=dtype is not None):
        for forward in range(settings.warmup + settings.forwards):
            seconds.append(_seconds(backbone, images))
            job.progress(forward + 1, settings.warmup + settings.forwards, f"{len(images) / seconds[-1]:.0f} img/s")
    return Outcome(
        {
            "images_per_second": settings.batch / min(seconds[settings.warmup :]),
            "gmacs": _gmacs(backbone, images[:1]),
            "parameters": sum(value.numel() for value in backbone.parameters()) / 1e6,
        },
        details={"resolution": side, "seconds": seconds[settings.warmup :], "threads": torch.get_num_threads()},
    )


def _seconds(backbone: Backbone, images: Tensor) -> float:
    started = time.perf_counter()
    backbone(images, maps=(-1,) if backbone.depth else ())
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _gmacs(backbone: Backbone, image: Tensor) -> float:
    """Count the multiply-adds of an image in 10^9: matrix products, convolutions and attention, by torch's counter."""
    return counted(lambda: backbone(image, maps=(-1,) if backbone.depth else ()))[1]


TASK = Task(
    name="throughput",
    about="images a second, multiply-adds and parameters of the forward",
    settings=ThroughputSettings,
    datasets=("imagenet",),
    metrics=(Metric("images_per_second", "img/s"), Metric("gmacs", "G", False), Metric("parameters", "M", False)),
    run=run,
    seeded=False,
)
