"""A job cut to a few steps and a few images, run for real on this machine, to measure the cost of an image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost.workload import kind_of
from benchmarks.environment import describe
from benchmarks.tasks.contract import Job, Task
from benchmarks.tasks.frozen import BATCH
from umt.backbones import Backbone, create_backbone
from umt.backbones.contract import round_up
from umt.backbones.spec import BackboneName
from umt.data.contract import Dataset, Sample
from umt.features import extract_features

STEPS = range(4, 17)  # steps of training; more with small images, whose first ones wait for the decoding processes
TESTS = 4  # images, or batches of them
CPU_BATCH = 4  # images at least: on a CPU a large image costs the same in any batch
CPU_PIXELS = 32 * 96 * 96  # pixels of a batch of small images, which in batches of four cost up to twice as much


@dataclass(frozen=True)
class Rates:
    """Rates in seconds."""

    fixed: float  # time of any job, independent of its length: loading, first step, pictures
    trained: float  # time of an image forward and backward, its loading included
    tested: float  # time of an image that is tested, or whose features are extracted

    def seconds(self, trained: int, tested: int) -> float:
        """Return the seconds of a full job."""
        return self.fixed + trained * self.trained + tested * self.tested


@dataclass(frozen=True)
class Heard:
    """A report of progress: its time, its phase, and the number of finished images."""

    at: float
    phase: str
    images: int


def rehearse(
    task: Task, settings: Any, name: BackboneName, dataset: Dataset, device: torch.device, folder: Path
) -> Rates:
    """Measure a job of the task with a backbone on images of the data set; `folder` is for its files.

    It takes the threads that torch has, which must be those that the job will get.
    """
    heard: list[Heard] = []
    kind, batch = kind_of(settings), _batch(settings, device)
    started = time.perf_counter()

    def listen(done: int, total: int, text: str) -> None:
        phase = "trained" if "loss" in text else "tested"
        images = done * batch if phase == "trained" or kind == "forward" else done
        heard.append(Heard(time.perf_counter(), phase, images))

    describe(device)  # every job does this
    backbone = create_backbone(name.spec, trusted=name.trusted).to(device)
    backbone.weights_hash()
    small = _few(dataset, TESTS if kind == "dense" else TESTS * batch)
    if kind == "frozen":
        _extract(backbone, settings, small, device, batch, listen)
    else:
        task.run(Job(backbone, small, _shortened(settings, dataset, batch), 0, device, folder, listen))
    paces = {phase: _pace(heard, phase) for phase in ("trained", "tested")}
    seen = sum(max((one.images for one in heard if one.phase == phase), default=0) * paces[phase] for phase in paces)
    fixed = max(0.0, time.perf_counter() - started - seen)
    return Rates(fixed, **paces)


def _batch(settings: Any, device: torch.device) -> int:
    """Return the images at a time: the job's, or on a CPU as many as give the same cost for each image."""
    batch: int = getattr(settings, "device_batch", BATCH.get(device.type, CPU_BATCH))
    if device.type != "cpu":
        return batch
    return min(batch, max(CPU_BATCH, CPU_PIXELS // _pixels(settings)))


def _pixels(settings: Any) -> int:
    """Return the pixels of an image at the network's input."""
    side = settings.crop if kind_of(settings) == "dense" else settings.resolution
    height, width = side if isinstance(side, tuple) else (side, side)
    return height * width


def _shortened(settings: Any, dataset: Dataset, batch: int) -> Any:
    """Return the protocol with fewer steps and, on a CPU, fewer images in each."""
    steps = min(max(CPU_PIXELS // _pixels(settings), STEPS.start), STEPS.stop - 1)
    if kind_of(settings) == "forward":
        return replace(settings, batch=batch, warmup=1, forwards=TESTS)
    if kind_of(settings) == "dense":
        few = {"iterations": steps, "warmup": 0, "best_on_test": None}
        return replace(settings, **few, batch=batch, device_batch=batch)
    *training, _ = dataset.sizes.values()
    epochs = steps * batch / sum(training)
    return replace(settings, epochs=epochs, warmup_epochs=0.0, batch=batch, device_batch=batch, train_per_class=None)


def _few(dataset: Dataset, count: int) -> Dataset:
    """Return the data set with at most so many images to report on."""
    *_, reported = dataset.info.splits

    def read(root: Path, split: str) -> list[Sample]:
        samples = dataset.samples(split)
        return samples[:count] if split == reported else samples

    return Dataset(replace(dataset.info, read=read), dataset.root)


def _extract(
    backbone: Backbone, settings: Any, dataset: Dataset, device: torch.device, batch: int, listen: Any
) -> None:
    """Extract frozen features of the reported images, as probes do."""
    *_, reported = dataset.info.splits
    resolution = round_up(settings.resolution, backbone.preprocess.size_multiple)
    extract_features(
        backbone, dataset.samples(reported), resolution, device, batch, listen,
        crop_pct=getattr(settings, "crop_pct", None),
    )  # fmt: skip


def _pace(heard: Sequence[Heard], phase: str) -> float:
    """Return the seconds of an image in the second half of a phase; 0 if it was reported once or never."""
    own = [one for one in heard if one.phase == phase]
    own = own[(len(own) - 1) // 2 :]
    images = own[-1].images - own[0].images if own else 0
    return (own[-1].at - own[0].at) / images if images else 0.0
