"""The engine: a function that trains a model on mmengine's Runner, by a recipe that is data."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch.utils.data import DataLoader, Dataset

from umt.data.loaders import worker_errors
from umt.errors import DeclarationError, NotFiniteError, SizeError, unknown_name
from umt.training.batches import make_loader
from umt.training.distributed import company
from umt.training.extras import PLAIN, Extras
from umt.training.hooks.average import AverageHook
from umt.training.hooks.curves import CurvesHook, closed
from umt.training.hooks.finite import FiniteHook
from umt.training.hooks.progress import ProgressHook
from umt.training.hooks.saving import RESUME_FILE, ResumeHook, StepScheduleHook
from umt.training.parallel import lonely_batchnorm, spread
from umt.training.param_groups import Group
from umt.training.precision import PRECISIONS, make_optim_wrapper
from umt.training.runner import DeviceRunner
from umt.training.schedule import warmup_then

SAVE_SECONDS = 300.0  # work that an interruption may cost
UNUSED_HOOKS = dict.fromkeys(("runtime_info", "timer", "logger"))  # these hooks look at the device for each loss


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; every field can change the outcome."""

    epochs: float
    batch: int  # images an optimiser step, of all processes; the learning rate belongs to it, on devices of any memory
    device_batch: int  # images a forward on one device; BatchNorm and mixup see this many, the rest is accumulated
    lr: float
    warmup_epochs: float  # linear; then cosine to zero
    weight_decay: float
    betas: tuple[float, float]
    clip_norm: float | None  # largest norm of the gradient, null for no limit
    precision: str  # fp32, bf16, fp16 (GPUs only), or auto: bf16 if it is faster

    def __post_init__(self) -> None:
        for name in ("epochs", "lr", "clip_norm"):
            self._require(name, getattr(self, name) is None or getattr(self, name) > 0, "more than 0")
        for name in ("warmup_epochs", "weight_decay"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        self._require("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1")
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        if self.device_batch < 1 or self.batch % self.device_batch:
            raise SizeError(f"recipe: batch {self.batch} is not a multiple of device_batch {self.device_batch}")
        if self.warmup_epochs >= self.epochs:
            raise DeclarationError(f"recipe: warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")

    def steps(self, images: int) -> int:
        """Return the optimiser steps on a training set of so many images; at least one."""
        return max(1, round(self.epochs * images / self.batch))

    def warmup_steps(self, images: int) -> int:
        """Return the number of steps that are warm-up."""
        return min(round(self.warmup_epochs * images / self.batch), self.steps(images) - 1)

    def forwards(self, processes: int = 1) -> int:
        """Return the forwards of each process an optimiser step; UMTError if the batch cannot be shared out evenly."""
        together = self.device_batch * processes
        if self.batch % together:
            nearest = max(1, round(self.batch / together)) * together
            raise SizeError(
                f"recipe: batch {self.batch} is not a multiple of device_batch {self.device_batch} x {processes} "
                f"processes = {together}; the nearest batch is {nearest}, or lower device_batch"
            )
        return self.batch // together

    def processes(self, most: int) -> int:
        """Return the largest number of processes up to `most` that the batch can be shared out to evenly."""
        return max(count for count in range(1, most + 1) if self.batch % (self.device_batch * count) == 0)

    def _require(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            raise DeclarationError(f"recipe: {field} is {getattr(self, field)}, expected {expected}")


@dataclass(frozen=True)
class Place:
    """The device, folder and progress report of a training."""

    device: torch.device
    work_dir: Path  # its own folder: curves, and the save to resume from
    seed: int
    report: Callable[[int, int, str], None]  # done, total, text
    wandb: bool = False  # curves go to Weights & Biases, too


def fit(
    model: BaseModel,
    groups: list[Group],
    images: Dataset[Any],
    recipe: Recipe,
    place: Place,
    *,
    save_seconds: float = SAVE_SECONDS,
    extras: Extras = PLAIN,
) -> None:
    """Train `model` in place with AdamW on `groups` (each with its own peak lr); afterwards it is in eval mode.

    With several processes (`distributed.join`), each calls it with its own device and the same other arguments; all
    models hold the same weights in the end, and only the first process writes and reports. The same seed gives the same
    weights on a CPU. Started again in the same `work_dir`, it goes on from the last save, exactly. Raises UMTError if a
    loss or a weight is not finite (iteration and loss are named) or another process is gone; the last save is kept.
    """
    model.to(place.device, memory_format=torch.channels_last)
    if lonely_batchnorm(model):
        warnings.warn("BatchNorm sees each process's own images only: CPUs have no SyncBatchNorm", stacklevel=2)
    resumable = place.work_dir / RESUME_FILE
    saver = ResumeHook(save_seconds, extras.save_every)
    count: int = len(images)  # type: ignore[arg-type]
    steps, forwards = recipe.steps(count), recipe.forwards(get_dist_info()[1])
    hooks = _hooks(saver, recipe, place, extras)
    with (
        spread(model, groups, extras.parallel) as (trained, trained_groups),
        worker_errors(),
        company(),
        closed(hooks),
    ):
        DeviceRunner(
            trained,
            work_dir=str(place.work_dir),
            train_dataloader=_loader(images, recipe, place, extras),
            train_cfg={"by_epoch": False, "max_iters": steps * forwards},
            optim_wrapper=_optimiser(trained_groups, recipe, place.device, forwards),
            param_scheduler=warmup_then("cosine", total=steps, warmup=recipe.warmup_steps(count)),
            default_hooks={**UNUSED_HOOKS, "param_scheduler": StepScheduleHook(), "checkpoint": saver},
            custom_hooks=hooks,
            randomness={"seed": place.seed, "diff_rank_seed": True},
            log_level=logging.ERROR,
            default_scope=None,  # a scope would outlive the run, and rename objects that others build
            experiment_name=uuid4().hex,  # mmengine shares its state between runs of one name
            resume=resumable.is_file(),
            load_from=str(resumable) if resumable.is_file() else None,
        ).train()
    model.eval()
    _check_finite(model, recipe)


def _loader(images: Dataset[Any], recipe: Recipe, place: Place, extras: Extras) -> DataLoader[Any]:
    return make_loader(
        images,
        batch=recipe.device_batch,
        seed=place.seed,
        draws=round(recipe.epochs * len(images)),  # type: ignore[arg-type]
        visits=extras.visits,
        pinned=place.device.type == "cuda",
    )


def _optimiser(groups: list[Group], recipe: Recipe, device: torch.device, forwards: int) -> OptimWrapper:
    return make_optim_wrapper(
        recipe.precision,
        device,
        optimizer=torch.optim.AdamW(groups, betas=recipe.betas, fused=True),
        accumulative_counts=forwards,
        clip_grad={"max_norm": recipe.clip_norm} if recipe.clip_norm else None,
    )


def _hooks(saver: ResumeHook, recipe: Recipe, place: Place, extras: Extras) -> list[Hook]:
    """Return the hooks that watch, average and report; only the first process reports."""
    rank, world = get_dist_info()
    images = recipe.device_batch * world
    hooks: list[Hook] = [FiniteHook(saver, recipe.lr), *extras.hooks]
    if extras.ema:
        hooks.append(AverageHook(extras.ema))
    if rank == 0:
        hooks.append(ProgressHook(place.report, images, extras.note))
        hooks.append(CurvesHook(place.work_dir, images, wandb=place.wandb))
    return hooks


def _check_finite(model: BaseModel, recipe: Recipe) -> None:
    if not all(bool(value.isfinite().all()) for value in model.parameters()):
        raise NotFiniteError(f"training diverged at lr {recipe.lr}: weights are not finite; lower lr or set clip_norm")
