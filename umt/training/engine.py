"""The engine: one function that trains a model on mmengine's Runner, by a recipe that is data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch.utils.data import DataLoader, Dataset

from umt.data.loaders import worker_count, worker_errors
from umt.errors import UMTError
from umt.training.hooks import RESUME_FILE, ResumeHook, StepScheduleHook
from umt.training.param_groups import Group
from umt.training.precision import AutocastOptimWrapper, pick_precision
from umt.training.progress import ProgressHook
from umt.training.runner import DeviceRunner
from umt.training.schedule import warmup_then

SAVE_SECONDS = 300.0  # how much work an interruption may cost


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; every field can change the outcome."""

    epochs: float
    batch: int  # images an optimiser step; the learning rate belongs to it, whatever fits on the device
    device_batch: int  # images a forward; BatchNorm and mixup see this many, the rest is accumulated
    lr: float
    warmup_epochs: float  # linear; then cosine to zero
    weight_decay: float
    betas: tuple[float, float]
    clip_norm: float | None  # largest norm of the gradient, null for no limit
    precision: str  # fp32, bf16, or auto: bf16 where it is faster

    def __post_init__(self) -> None:
        if self.device_batch < 1 or self.batch % self.device_batch:
            raise UMTError(f"recipe: batch {self.batch} is not a multiple of device_batch {self.device_batch}")
        if self.warmup_epochs >= self.epochs:
            raise UMTError(f"recipe: warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")

    def steps(self, images: int) -> int:
        """Optimiser steps on a training set of so many images; at least one."""
        return max(1, round(self.epochs * images / self.batch))

    def warmup_steps(self, images: int) -> int:
        """How many of them are warm-up."""
        return min(round(self.warmup_epochs * images / self.batch), self.steps(images) - 1)

    @property
    def accumulation(self) -> int:
        """Forwards an optimiser step."""
        return self.batch // self.device_batch


@dataclass(frozen=True)
class Place:
    """Where a training runs, and who hears of it."""

    device: torch.device
    work_dir: Path  # its own: logs, and what resumes it after an interruption
    seed: int
    report: Callable[[int, int, str], None]  # done, total, text


def fit(
    model: BaseModel,
    groups: list[Group],
    images: Dataset[Any],
    recipe: Recipe,
    place: Place,
    *,
    save_seconds: float = SAVE_SECONDS,
) -> None:
    """Train `model` in place with AdamW on `groups` (each with its own peak lr); afterwards it is in eval mode.

    The same seed gives the same weights on a CPU. Started again in the same `work_dir`, it goes on from the last save.
    UMTError when the weights are not finite in the end.
    """
    model.to(place.device, memory_format=torch.channels_last)
    resumable = place.work_dir / RESUME_FILE
    count = len(images)  # type: ignore[arg-type]
    runner = DeviceRunner(
        model,
        work_dir=str(place.work_dir),
        train_dataloader=_loader(images, recipe, place),
        train_cfg={"by_epoch": False, "max_iters": recipe.steps(count) * recipe.accumulation},
        optim_wrapper=_optimiser(groups, recipe, place.device),
        param_scheduler=warmup_then("cosine", total=recipe.steps(count), warmup=recipe.warmup_steps(count)),
        default_hooks={"param_scheduler": StepScheduleHook(), "checkpoint": ResumeHook(save_seconds)},
        custom_hooks=[ProgressHook(place.report, recipe.device_batch)],
        randomness={"seed": place.seed},
        log_level=logging.ERROR,
        experiment_name=uuid4().hex,  # mmengine shares its state between runs of one name
        resume=resumable.is_file(),
        load_from=str(resumable) if resumable.is_file() else None,
    )
    with worker_errors():
        runner.train()
    model.eval()
    _check_finite(model, recipe)


def _loader(images: Dataset[Any], recipe: Recipe, place: Place) -> DataLoader[Any]:
    """Endless shuffled batches; the order of the images depends on the seed alone, not on the size of a batch."""
    return DataLoader(
        images,
        batch_size=recipe.device_batch,
        sampler=InfiniteSampler(images, seed=place.seed),
        num_workers=worker_count(round(recipe.epochs * len(images))),  # type: ignore[arg-type]
        pin_memory=place.device.type == "cuda",
        generator=torch.Generator().manual_seed(place.seed),
    )


def _optimiser(groups: list[Group], recipe: Recipe, device: torch.device) -> OptimWrapper:
    options: dict[str, Any] = {
        "optimizer": torch.optim.AdamW(groups, betas=recipe.betas),
        "accumulative_counts": recipe.accumulation,
        "clip_grad": {"max_norm": recipe.clip_norm} if recipe.clip_norm else None,
    }
    if pick_precision(recipe.precision, device) == "fp32":
        return OptimWrapper(**options)
    return AutocastOptimWrapper(device.type, **options)


def _check_finite(model: BaseModel, recipe: Recipe) -> None:
    if not all(bool(value.isfinite().all()) for value in model.parameters()):
        raise UMTError(f"training diverged at lr {recipe.lr}: weights are not finite; lower lr or set clip_norm")
