"""The engine: every training of the project runs on one Runner, by a plan that is data."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from umt.data.loaders import worker_errors
from umt.errors import DeclarationError, NotFiniteError, SizeError, unknown_name
from umt.training.batches import make_loader
from umt.training.distributed import distributed_errors
from umt.training.hooks.average import AverageHook
from umt.training.hooks.curves import CurvesHook, closed
from umt.training.hooks.finite import FiniteHook
from umt.training.hooks.progress import ProgressHook
from umt.training.hooks.saving import RESUME_FILE, ResumeHook, StepScheduleHook
from umt.training.optim_wrapper import make_optim_wrapper
from umt.training.parallel import PARALLEL, parallelize, unsynced_batchnorm
from umt.training.param_groups import Group
from umt.training.precision import PRECISIONS, plain_attention
from umt.training.runner import DeviceRunner

SAVE_SECONDS = 300.0  # work that an interruption may cost
MIN_LR_FACTOR = 1e-12  # mmengine's factor of the next step divides by that of the last
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
    warmup_start: float = field(default=1e-3, kw_only=True)  # factor on lr at the first step; 0: as MAE counts it

    def __post_init__(self) -> None:
        for name in ("epochs", "lr", "clip_norm"):
            self._require(name, getattr(self, name) is None or getattr(self, name) > 0, "more than 0")
        for name in ("warmup_epochs", "weight_decay"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        self._require("warmup_start", 0 <= self.warmup_start <= 1, "0 to 1")
        self._require("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1")
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        if self.device_batch < 1 or self.batch % self.device_batch:
            raise SizeError(
                f"recipe: batch {self.batch} is not a multiple of device_batch {self.device_batch}; change one"
            )
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

    def processes(self, limit: int) -> int:
        """Return the largest number of processes up to `limit` that the batch can be shared out to evenly."""
        return max(count for count in range(1, limit + 1) if self.batch % (self.device_batch * count) == 0)

    def _require(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            raise DeclarationError(f"recipe: {field} is {getattr(self, field)}, expected {expected}")


@dataclass(frozen=True)
class RunContext:
    """The device, folder and progress report of a training."""

    device: torch.device
    work_dir: Path  # its own folder: curves, and the save to resume from
    seed: int
    report: Callable[[int, int, str], None]  # done, total, text
    wandb: bool = False  # curves go to Weights & Biases, too


@dataclass(frozen=True)
class Extras:
    """Options of a training beyond its settings; only `ema` and `hooks` can change the weights."""

    save_every: int | None = None  # optimiser steps between saves, besides those by time
    save_seconds: float = SAVE_SECONDS
    ema: float | None = None  # decay of the weights' moving average, which the model holds in the end
    parallel: str = "ddp"  # with several processes: each holds the whole model (ddp), or a shard of it (fsdp)
    hooks: tuple[Hook, ...] = ()  # hooks of the caller
    note: Callable[[], str] | None = None  # more text for the progress line

    def __post_init__(self) -> None:
        if self.save_every is not None and self.save_every < 1:
            raise DeclarationError(f"save_every {self.save_every}: take at least 1 optimiser step")
        if self.ema is not None and not 0 < self.ema < 1:
            raise DeclarationError(f"ema {self.ema}: take a decay between 0 and 1, such as 0.9998")
        if self.parallel not in PARALLEL:
            raise unknown_name("parallel", self.parallel, PARALLEL)


PLAIN = Extras()


@dataclass(frozen=True)
class Plan:
    """A training in the engine's terms, whatever declared it."""

    images: Dataset[Any]  # by (index, visit)
    groups: list[Group]  # groups of the optimiser, each with its own peak lr
    optimizer: Callable[[list[Group]], torch.optim.Optimizer]
    schedule: Sequence[dict[str, Any]]  # mmengine's `param_scheduler`, in optimiser steps
    steps: int  # steps of the optimiser
    forwards: int  # forwards of each process in an optimiser step
    batch: int  # images a forward of each process
    lr: float  # named in errors
    precision: str
    clip_norm: float | None  # largest norm of the gradient
    collate: Callable[[list[Any]], Any] | None = None  # None for torch's own
    tests: Mapping[str, Any] = field(default_factory=dict)  # options of mmengine's Runner
    scope: str | None = None  # registry of the tests' parts; it outlives the run, and renames objects that others build

    @property
    def iterations(self) -> int:
        """The forwards of each process."""
        return self.steps * self.forwards


def fit(
    model: BaseModel,
    groups: list[Group],
    images: Dataset[Any],
    recipe: Recipe,
    context: RunContext,
    *,
    extras: Extras = PLAIN,
) -> None:
    """Train `model` in place with AdamW on `groups` (each with its own peak lr); afterwards it is in eval mode.

    images: items by (index, visit), see `SeededViews`. It keeps the promises of `training`.
    """
    count: int = len(images)  # type: ignore[arg-type]
    steps = recipe.steps(count)
    plan = Plan(
        images=images,
        groups=groups,
        optimizer=partial(torch.optim.AdamW, betas=recipe.betas, fused=True),
        schedule=warmup_then(
            "cosine", total=steps, warmup=recipe.warmup_steps(count), start_lr_factor=recipe.warmup_start
        ),
        steps=steps,
        forwards=recipe.forwards(get_dist_info()[1]),
        batch=recipe.device_batch,
        lr=recipe.lr,
        precision=recipe.precision,
        clip_norm=recipe.clip_norm,
    )
    with training(model, plan, context, extras) as runner:
        runner.train()
    model.eval()
    if not all(bool(value.isfinite().all()) for value in model.parameters()):
        raise NotFiniteError(f"training diverged at lr {recipe.lr}: weights are not finite; lower lr or set clip_norm")


@contextmanager
def training(model: BaseModel, plan: Plan, context: RunContext, extras: Extras = PLAIN) -> Iterator[Runner]:
    """Yield the Runner that trains `model` in place; after the block `model` itself holds the weights.

    With several processes (`init_distributed`), each calls it with its own device and the same other arguments; all
    models hold the same weights in the end, and only the first process writes and reports. The same seed gives the same
    weights on a CPU. Started again in the same `work_dir`, it goes on from the last save, exactly. Raises UMTError if a
    loss or a weight is not finite (iteration and loss are named) or another process is gone; the last save is kept.
    """
    model.to(context.device, memory_format=torch.channels_last)
    if unsynced_batchnorm(model):
        warnings.warn("BatchNorm sees each process's own images only: CPUs have no SyncBatchNorm", stacklevel=3)
    saver = ResumeHook(extras.save_seconds, extras.save_every)
    hooks = _hooks(saver, plan, context, extras)
    with (
        plain_attention(model, plan.precision, context.device),
        parallelize(model, plan.groups, extras.parallel) as (wrapped, groups),
        worker_errors(),
        distributed_errors(),
        closed(hooks),
    ):
        runner = _runner(wrapped, groups, plan, context, saver, hooks)
        try:
            yield runner
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(saver.next_start(runner)) from error  # the command line tells it


def warmup_then(policy: str, *, total: int, warmup: int, start_lr_factor: float = 1e-3) -> list[dict[str, Any]]:
    """Return a linear warm-up whose peak is the last of `warmup` iterations, then decay; policy 'cosine' or 'linear'.

    From 0, the peak is the first iteration after the warm-up: step / warmup, as MAE has it. Cosine would be zero in
    iteration `total`, linear is zero in the last one, as in mmengine's own schedules.
    The factors multiply each parameter group's own learning rate, so layer-wise scales survive.
    """
    decay = {"begin": warmup, "end": total, "by_epoch": False}
    schedule: list[dict[str, Any]] = []
    if warmup > 1:  # a single iteration of warm-up is at the peak
        start, end = (start_lr_factor, warmup) if start_lr_factor else (MIN_LR_FACTOR, warmup + 1)
        schedule.append({"type": "LinearLR", "start_factor": start, "begin": 0, "end": end, "by_epoch": False})
    if policy == "cosine":
        return [*schedule, {"type": "CosineAnnealingLR", "T_max": total - warmup, "eta_min": 0.0, **decay}]
    return [*schedule, {"type": "PolyLR", "power": 1.0, "eta_min": 0.0, **decay}]


def _runner(
    model: nn.Module, groups: list[Group], plan: Plan, context: RunContext, saver: ResumeHook, hooks: list[Hook]
) -> Runner:
    resumable = context.work_dir / RESUME_FILE
    return DeviceRunner(
        model,
        work_dir=str(context.work_dir),
        train_dataloader=_loader(plan, context),
        # mmengine's own tests between iterations come after a save, and are left out by a resumed run: none of them
        train_cfg={"by_epoch": False, "max_iters": plan.iterations, "val_begin": plan.iterations + 1},
        optim_wrapper=_optimiser(groups, plan, context.device),
        param_scheduler=list(plan.schedule),
        default_hooks={**UNUSED_HOOKS, "param_scheduler": StepScheduleHook(), "checkpoint": saver},
        custom_hooks=hooks,
        randomness={"seed": context.seed, "diff_rank_seed": True},
        log_level=logging.ERROR,
        default_scope=plan.scope,
        experiment_name=uuid4().hex,  # mmengine shares its state between runs of one name
        resume=resumable.is_file(),
        load_from=str(resumable) if resumable.is_file() else None,
        **plan.tests,
    )


def _loader(plan: Plan, context: RunContext) -> DataLoader[Any]:
    return make_loader(
        plan.images,
        batch=plan.batch,
        seed=context.seed,
        draws=plan.iterations * plan.batch,
        pinned=context.device.type == "cuda",
        collate=plan.collate,
    )


def _optimiser(groups: list[Group], plan: Plan, device: torch.device) -> OptimWrapper:
    return make_optim_wrapper(
        plan.precision,
        device,
        optimizer=plan.optimizer(groups),
        accumulative_counts=plan.forwards,
        clip_grad={"max_norm": plan.clip_norm} if plan.clip_norm else None,
    )


def _hooks(saver: ResumeHook, plan: Plan, context: RunContext, extras: Extras) -> list[Hook]:
    """Return the hooks that watch, average and report; only the first process reports."""
    rank, world = get_dist_info()
    images = plan.batch * world
    hooks: list[Hook] = [FiniteHook(saver, plan.lr), *extras.hooks]
    if extras.ema:
        hooks.append(AverageHook(extras.ema))
    if rank == 0:
        hooks.append(ProgressHook(context.report, images, extras.note))
        hooks.append(CurvesHook(context.work_dir, images, wandb=context.wandb))
    return hooks
