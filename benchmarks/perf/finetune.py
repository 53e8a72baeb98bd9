"""Fine-tuning from JPEG files to weights against timm's own training loop, on the same model, batch and precision."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from timm.data import FastCollateMixup, ImageDataset, create_loader
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, ModelEmaV3

from benchmarks.perf.distilling import DRAWS, pictures
from benchmarks.perf.machine import clock_of, peak_share, waiting_clock_of
from benchmarks.perf.row import PerfRow
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.finetune_settings import FinetuneSettings
from benchmarks.tasks.finetuning import classifier_of
from umt.backbones import create_backbone
from umt.data.contract import Sample
from umt.data.images import ImageSamples
from umt.data.loaders import worker_count
from umt.training.batches import SeededViews
from umt.training.engine import RunContext, fit
from umt.training.param_groups import layer_decay_groups
from umt.training.precision import pick_precision

CLASSES = 1000
IMAGES = 32  # files, each of which is read repeatedly
TRAININGS = (("resnet50", None), ("vit_small_patch16_224", 0.9999))  # a model, and the decay of its average


@dataclass(frozen=True)
class FinetuneSetting:
    """A short training by the paper's protocol: one accumulated batch is one step."""

    model: str
    settings: FinetuneSettings
    device: torch.device
    folder: Path
    repeats: int

    @classmethod
    def on(cls, device: torch.device, model: str, folder: Path, ema: float | None) -> FinetuneSetting:
        """Take two steps of 8 images on a CPU, repeated often; 30 of 128 on a GPU."""
        batch, steps, repeats = (128, 30, 5) if device.type == "cuda" else (8, 2, 8)
        paper = load_protocol("imagenet_finetune", "paper", FinetuneSettings).settings
        short = replace(
            paper,
            batch=batch,
            device_batch=batch,
            epochs=steps * batch / IMAGES,
            warmup_epochs=0.0,
            precision="auto",
            ema=ema,
        )
        return cls(model, short, device, folder, repeats)

    @property
    def precision(self) -> str:
        return pick_precision(self.settings.precision, self.device)

    @property
    def workers(self) -> int:
        return worker_count(DRAWS[self.device.type])

    @property
    def steps(self) -> int:
        return self.settings.steps(IMAGES)


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the training: as fast as timm, with and without an average of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "images"
        files.mkdir()
        pictures(files / "only class", IMAGES)
        return [row(FinetuneSetting.on(device, model, Path(folder), ema)) for model, ema in TRAININGS]


def row(setting: FinetuneSetting) -> PerfRow:
    """Compare the seconds of a step, loading included."""
    loops = timms_loop(setting), our_loop(setting)
    times = [[run() for run in loops] for _ in range(setting.repeats)]
    theirs, ours = (min(watches, key=lambda watch: watch.seconds) for watches in zip(*times, strict=True))
    average = f", average {setting.settings.ema}" if setting.settings.ema else ""
    return PerfRow(
        f"fine-tuning step, {setting.model}, {setting.settings.batch} images, {setting.precision}{average}",
        "timm's training loop, channels_last",
        theirs.seconds,
        ours.seconds,
        limit=1,
        note=f"{setting.settings.batch / ours.seconds:.4g} images/s, {setting.workers} worker processes",
        peak_share=peak_share(_work_alone(setting), ours.seconds, setting.device, setting.precision),
        loader_share=ours.waited / (ours.seconds * (setting.steps - 1)),
    )


def _work_alone(setting: FinetuneSetting) -> Callable[[], None]:
    """Return forward and backward of the model on a batch."""
    model, size = timm.create_model(setting.model, num_classes=CLASSES), setting.settings.resolution
    model.to(setting.device)

    def run() -> None:
        model(torch.rand(setting.settings.batch, 3, size, size, device=setting.device)).sum().backward()

    return run


class Stopwatch(Hook):
    """Seconds of a step, from the end of the first to the end of the last, and those of waiting for batches between."""

    priority = "LOWEST"

    def __init__(self, setting: FinetuneSetting) -> None:
        self.clock, self.steps = clock_of(setting.device), setting.steps
        self.times: list[float] = []
        self.waiting_clock = waiting_clock_of(setting.device)
        self.waited, self.ended = 0.0, 0.0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter:
            self.waited += self.waiting_clock() - self.ended

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        self.lap(runner.iter)
        self.ended = self.waiting_clock()

    def lap(self, step: int) -> None:
        """Record the end of step 0, 1, ..."""
        if step in (0, self.steps - 1):
            self.times.append(self.clock())

    @property
    def seconds(self) -> float:
        first, last = self.times
        return (last - first) / (self.steps - 1)


def our_loop(setting: FinetuneSetting) -> Callable[[], Stopwatch]:
    """Return the engine as the task calls it, started anew each time."""
    settings = setting.settings
    backbone = create_backbone(f"timm:{setting.model}?pretrained=false")
    model, _ = classifier_of(backbone, CLASSES, settings, seed=0)
    groups = layer_decay_groups(
        backbone, model.head, lr=settings.lr, weight_decay=settings.weight_decay, layer_decay=settings.layer_decay
    )
    samples = [Sample(path, 0) for path in sorted(setting.folder.glob("images/*/*"))]
    views = SeededViews(ImageSamples(samples, settings.transform("bicubic")), seed=0)

    def run() -> Stopwatch:
        watch = Stopwatch(setting)
        with tempfile.TemporaryDirectory() as folder:
            context = RunContext(setting.device, Path(folder), 0, lambda *_: None)
            model.train()
            fit(model, groups, views, settings, context, extras=replace(settings.extras(), hooks=(watch,)))
        return watch

    return run


def timms_loop(setting: FinetuneSetting) -> Callable[[], Stopwatch]:
    """Return an epoch of timm's train.py, with its loader, mixing, optimiser, schedule, average and meters."""
    settings, device = setting.settings, setting.device
    model = timm.create_model(setting.model, num_classes=CLASSES, drop_path_rate=settings.drop_path)
    model.to(device).to(memory_format=torch.channels_last)
    optimiser = create_optimizer_v2(
        model, "adamw", settings.lr, settings.weight_decay, layer_decay=settings.layer_decay, betas=settings.betas
    )
    loss_of = SoftTargetCrossEntropy()
    average = ModelEmaV3(model, settings.ema) if settings.ema else None
    loader = _timms_loader(setting)

    def run() -> Stopwatch:
        watch = Stopwatch(setting)
        model.train()
        schedule, _ = create_scheduler_v2(
            optimiser, "cosine", num_epochs=1, step_on_epochs=False, updates_per_epoch=setting.steps
        )
        losses = AverageMeter()
        for step, (images, targets) in enumerate(_first(loader, setting.steps)):
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=setting.precision == "bf16"):
                loss = loss_of(model(images), targets)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            if average:
                average.update(model, step=step)
            losses.update(loss.item(), len(images))
            schedule.step_update(step + 1, metric=losses.avg)
            watch.lap(step)
        return watch

    return run


def _timms_loader(setting: FinetuneSetting) -> Any:
    settings = setting.settings
    mixing = FastCollateMixup(settings.mixup, settings.cutmix, label_smoothing=settings.smoothing, num_classes=CLASSES)
    return create_loader(
        ImageDataset(setting.folder / "images"),
        (3, settings.resolution, settings.resolution),
        settings.batch,
        is_training=True,
        re_prob=settings.reprob,
        re_mode="pixel",
        scale=settings.scale,
        auto_augment=settings.auto_augment,
        interpolation="bicubic",
        num_workers=setting.workers,
        persistent_workers=setting.workers > 0,
        collate_fn=mixing,
        pin_memory=setting.device.type == "cuda",
        device=setting.device,
    )


def _first(loader: Any, batches: int) -> Iterator[Any]:
    """Yield so many batches, from as many epochs as necessary."""
    count = 0
    while count < batches:
        for batch in loader:
            if count == batches:
                return
            count += 1
            yield batch
