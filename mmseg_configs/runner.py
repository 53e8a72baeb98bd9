"""Train and test a dense model on the engine: its settings and parts as the engine's plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmseg.datasets import BaseSegDataset
from torch import Tensor
from torch.utils.data import DataLoader

from mmseg_configs.best import Best, BestHook
from mmseg_configs.datasets import DenseViews
from mmseg_configs.scope import mmseg_scope
from umt.data.loaders import worker_count
from umt.errors import DeclarationError
from umt.training.engine import PLAIN, Extras, Plan, RunContext, training, warmup_then
from umt.training.precision import PRECISIONS

COST = 10  # images of a classification task whose loading takes as long as one test image with its annotation


@dataclass(frozen=True)
class TrainingSettings:
    """The settings that every dense training declares; all of them change the number."""

    iterations: int  # optimiser steps
    batch: int  # images an optimiser step: the global batch, to which lr belongs
    bn_batch: int  # images a forward of all processes, over which BatchNorm averages; the rest is accumulated
    lr: float
    weight_decay: float
    betas: tuple[float, float]
    warmup: int  # optimiser steps of linear warm-up, then linear decay to 0
    warmup_start: float  # factor on lr at the first step
    precision: str  # of training: fp32, bf16, fp16 (GPUs), or auto: bf16 if it is faster; tests are in fp32
    best_on_test: int | None  # null: the last weights; else test every so many steps, and report the best

    def __post_init__(self) -> None:
        divides = self.bn_batch > 0 and self.batch % self.bn_batch == 0
        check("bn_batch", self.bn_batch, divides, f"a divisor of batch = {self.batch}")
        check("warmup", self.warmup, 0 <= self.warmup < self.iterations, f"less than iterations = {self.iterations}")
        check("precision", self.precision, self.precision in PRECISIONS, " or ".join(PRECISIONS))
        every = self.best_on_test
        check("best_on_test", every, every is None or every > 0, "null or a number of steps")

    @property
    def accumulation(self) -> int:
        """Forwards an optimiser step."""
        return self.batch // self.bn_batch

    @property
    def tests(self) -> int:
        """Times that the test images are tested; the best weights once more at the end."""
        return math.ceil(self.iterations / self.best_on_test) + 1 if self.best_on_test else 1

    def processes(self, limit: int) -> int:
        """Return the largest number of processes up to `limit` that can share out a forward evenly."""
        return max(count for count in range(1, limit + 1) if self.bn_batch % count == 0)

    def share(self) -> int:
        """Return the images of a forward that each process takes; UMTError if they cannot be shared out evenly."""
        processes = get_dist_info()[1]
        holds = self.bn_batch % processes == 0
        check("bn_batch", self.bn_batch, holds, f"a multiple of the {processes} processes")
        return self.bn_batch // processes

    def recorded(self) -> dict[str, int]:
        """Return the shares of the global batch, for a result's details."""
        return {"bn_batch": self.bn_batch, "device_batch": self.share(), "processes": get_dist_info()[1]}


def dense_forward(build: Callable[[], Any]) -> Callable[[Tensor], Any]:
    """Build a dense model; return the forward of its backbone and head, in eval mode and without gradients."""
    with mmseg_scope(seed=0):
        model = build().eval().requires_grad_(False)
    return lambda images: model.decode_head(model.backbone(images))


def check(field: str, value: object, holds: bool, expected: str) -> None:
    """Raise UMTError that names a field of the protocol if `holds` is false."""
    if not holds:
        raise DeclarationError(f"protocol field '{field}' is {value!r}; it must be {expected}")


@dataclass(frozen=True)
class Parts:
    """A model with its training data, its optimiser and its test."""

    model: BaseModel
    optimizer: torch.optim.Optimizer
    train_set: BaseSegDataset
    test_set: BaseSegDataset
    metric: dict[str, Any]
    details: dict[str, Any]  # the settings as adapted to this backbone
    schedule: Sequence[dict[str, Any]] = ()  # mmengine's; empty for warm-up and linear decay as the settings say
    clip_norm: float | None = None  # largest norm of the gradient
    best: Best | None = None  # which weights are reported instead of the last


def train_and_test(
    parts: Parts, settings: TrainingSettings, context: RunContext, extras: Extras = PLAIN
) -> dict[str, Any]:
    """Train for the declared iterations, test the last weights, and return the metric's values by name.

    With `parts.best` the best of the tested weights count, and `best_step` is theirs. With several processes they share
    out each forward and the test images, and all get the values. It keeps the promises of the engine's `training`.
    """
    with dense_training(parts, settings, context, extras) as runner:
        runner.train()
        best = next((hook for hook in runner.hooks if isinstance(hook, BestHook)), None)
        if best:
            best.restore(runner)
        values = {name.rpartition("/")[2]: value for name, value in runner.test().items()}
    return {**values, "best_step": best.step} if best else values


def dense_training(
    parts: Parts, settings: TrainingSettings, context: RunContext, extras: Extras = PLAIN
) -> AbstractContextManager[Runner]:
    """Return the engine's `training` of these parts."""
    plan = Plan(
        images=DenseViews(parts.train_set, context.seed),
        groups=[],
        optimizer=lambda groups: parts.optimizer,
        schedule=list(parts.schedule) or _linear(settings),
        steps=settings.iterations,
        forwards=settings.accumulation,
        batch=settings.share(),
        lr=settings.lr,
        precision=settings.precision,
        clip_norm=parts.clip_norm,
        collate=_collate,
        tests=_tests(parts),
        scope="mmseg",
    )
    hooks = list(extras.hooks)
    if parts.best:
        hooks.append(BestHook(parts.best))
    if is_main_process():
        hooks.append(EvaluationProgress(context.report))
    return training(parts.model, plan, context, replace(extras, hooks=tuple(hooks)))


def _tests(parts: Parts) -> dict[str, Any]:
    """Return the options of mmengine's Runner for the test in the end, and those between steps if they choose."""
    loader = _test_loader(parts.test_set)
    metric = {**parts.metric, "collect_device": "gpu"}  # mmengine's name for no files in the current folder
    last = {"test_dataloader": loader, "test_cfg": {"type": "TestLoop"}, "test_evaluator": metric}
    return {**last, **({"val_dataloader": loader, "val_cfg": {}, "val_evaluator": metric} if parts.best else {})}


class EvaluationProgress(Hook):
    """A hook that reports the number of tested images."""

    def __init__(self, report: Callable[[int, int, str], None]) -> None:
        self.report = report

    def after_test_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        self.report(batch_idx + 1, len(runner.test_dataloader), "test")

    def after_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        step = runner.iter // runner.optim_wrapper._accumulative_counts + 1
        self.report(batch_idx + 1, len(runner.val_dataloader), f"test of step {step}")


def _linear(settings: TrainingSettings) -> list[dict[str, Any]]:
    return warmup_then(
        "linear", total=settings.iterations, warmup=settings.warmup, start_lr_factor=settings.warmup_start
    )


def _test_loader(dataset: BaseSegDataset) -> DataLoader[Any]:
    """Load one image at a time, because their sizes differ; processes take turns."""
    sampler = DefaultSampler(dataset, shuffle=False, seed=0)
    workers = worker_count(COST * len(dataset) // get_dist_info()[1])
    return DataLoader(
        dataset,
        batch_size=1,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_collate,
        generator=torch.Generator(),  # else a test between steps would change the draws of the next ones
    )


def _collate(items: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Collate a batch in mmseg's form: lists, which the data preprocessor stacks."""
    return {name: [item[name] for item in items] for name in items[0]}
