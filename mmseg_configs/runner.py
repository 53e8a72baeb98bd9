"""Training and testing a dense model through the project's engine: mmengine's Runner on one device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmseg.datasets import BaseSegDataset
from torch.utils.data import DataLoader

from mmseg_configs.datasets import ResumableSampler, TrainingStream
from umt.data.loaders import worker_count, worker_errors
from umt.errors import UMTError
from umt.training.engine import SAVE_SECONDS, Place
from umt.training.hooks import RESUME_FILE, ResumeHook, StepScheduleHook
from umt.training.precision import PRECISIONS, make_optim_wrapper
from umt.training.progress import ProgressHook
from umt.training.runner import DeviceRunner
from umt.training.schedule import warmup_then


@dataclass(frozen=True)
class TrainingSettings:
    """What every dense training declares; all of it changes the number."""

    iterations: int  # optimiser steps
    batch: int  # images an optimiser step: the global batch, to which lr belongs
    device_batch: int  # images a forward, over which BatchNorm averages; the rest is accumulated
    lr: float
    weight_decay: float
    betas: tuple[float, float]
    warmup: int  # optimiser steps of linear warm-up, then linear decay to 0
    warmup_start: float  # factor on lr at the first step
    precision: str  # of training: fp32, bf16, fp16 (GPUs), or auto: bf16 where it is faster; tests are in fp32

    def __post_init__(self) -> None:
        divides = self.device_batch > 0 and self.batch % self.device_batch == 0
        check("device_batch", self.device_batch, divides, f"a divisor of batch = {self.batch}")
        check("warmup", self.warmup, 0 <= self.warmup < self.iterations, f"less than iterations = {self.iterations}")
        check("precision", self.precision, self.precision in PRECISIONS, " or ".join(PRECISIONS))

    @property
    def accumulation(self) -> int:
        """Forwards an optimiser step."""
        return self.batch // self.device_batch


def check(field: str, value: object, holds: bool, wanted: str) -> None:
    """UMTError naming a field of the protocol whose value does not hold."""
    if not holds:
        raise UMTError(f"protocol field '{field}' is {value!r}; it must be {wanted}")


@dataclass(frozen=True)
class Parts:
    """What is trained, on what, and how it is judged."""

    model: BaseModel
    optimizer: torch.optim.Optimizer
    train_set: BaseSegDataset
    test_set: BaseSegDataset
    metric: dict[str, Any]
    details: dict[str, Any]  # what the settings became for this backbone


def train_and_test(
    parts: Parts, settings: TrainingSettings, place: Place, *, save_seconds: float = SAVE_SECONDS
) -> dict[str, Any]:
    """Train for the declared iterations, test the last weights, and give the metric's values by name.

    The same seed gives the same values on a CPU. Started again in the same `work_dir`, it goes on from the last save.
    """
    runner = build_runner(parts, settings, place, save_seconds)
    with worker_errors():
        runner.train()
        values = runner.test()
    return {name.rpartition("/")[2]: value for name, value in values.items()}


def build_runner(parts: Parts, settings: TrainingSettings, place: Place, save_seconds: float = SAVE_SECONDS) -> Runner:
    """The Runner of a job: silent on the console, scalars and checkpoints below `place.work_dir`."""
    resumable = place.work_dir / RESUME_FILE
    forwards = settings.iterations * settings.accumulation
    return DeviceRunner(
        parts.model.to(place.device, memory_format=torch.channels_last),
        work_dir=str(place.work_dir),
        train_dataloader=_training_loader(parts.train_set, settings, place),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": forwards, "val_interval": forwards + 1},
        optim_wrapper=_optim_wrapper(parts.optimizer, settings, place),
        param_scheduler=warmup_then(
            "linear", total=settings.iterations, warmup=settings.warmup, start_lr_factor=settings.warmup_start
        ),
        test_dataloader=_test_loader(parts.test_set),
        test_cfg={"type": "TestLoop"},
        test_evaluator=parts.metric,
        default_hooks={"param_scheduler": StepScheduleHook(), "checkpoint": ResumeHook(save_seconds)},
        custom_hooks=[ProgressHook(place.report, settings.device_batch), EvaluationProgress(place.report)],
        default_scope="mmseg",
        log_level=logging.ERROR,
        randomness={"seed": place.seed},
        experiment_name=uuid4().hex,  # mmengine shares its state between runs of one name
        resume=resumable.is_file(),
        load_from=str(resumable) if resumable.is_file() else None,
    )


class EvaluationProgress(Hook):
    """Reports the test images that are done."""

    def __init__(self, report: Callable[[int, int, str], None]) -> None:
        self.report = report

    def after_test_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        self.report(batch_idx + 1, len(runner.test_dataloader), "test")


def _training_loader(dataset: BaseSegDataset, settings: TrainingSettings, place: Place) -> DataLoader[Any]:
    draws = settings.iterations * settings.batch
    return DataLoader(
        TrainingStream(dataset, place.seed, draws),
        batch_size=settings.device_batch,
        sampler=ResumableSampler(draws),
        num_workers=worker_count(draws),
        collate_fn=_collate,
        generator=torch.Generator(),  # else a new iterator draws from the state that a resumed run has restored
    )


def _test_loader(dataset: BaseSegDataset) -> DataLoader[Any]:
    """One image at a time: their sizes differ."""
    return DataLoader(dataset, batch_size=1, num_workers=worker_count(len(dataset)), collate_fn=_collate)


def _optim_wrapper(optimizer: torch.optim.Optimizer, settings: TrainingSettings, place: Place) -> OptimWrapper:
    return make_optim_wrapper(
        settings.precision, place.device, optimizer=optimizer, accumulative_counts=settings.accumulation
    )


def _collate(items: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """mmseg's form of a batch: lists, stacked by the data preprocessor."""
    return {name: [item[name] for item in items] for name in items[0]}
