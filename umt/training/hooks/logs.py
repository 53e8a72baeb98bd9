"""Scalars of a training run for TensorBoard, Weights & Biases, and a plain file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.visualization import TensorboardVisBackend, WandbVisBackend
from mmengine.visualization.vis_backend import BaseVisBackend
from torch import Tensor

from umt.errors import PackageError, UMTError, WriteError
from umt.files import atomic_file, open_plain, read_plain
from umt.training.hooks.saving import steps_done

LOG_FILE = "log.jsonl"
EVERY = 10  # optimiser steps
LOGGERS: Mapping[str, Callable[[Path], BaseVisBackend]] = {
    "tensorboard": lambda folder: TensorboardVisBackend(str(folder / "tensorboard")),
    "wandb": lambda folder: WandbVisBackend(str(folder), {"project": "umt-bench", "name": folder.name}),
}


class LogHook(Hook):
    """A hook that logs each loss (its mean since the last line), lr, images a second and a clipped gradient's norm."""

    def __init__(self, loggers: tuple[str, ...], folder: Path, images: int) -> None:
        for name in loggers:
            if not find_spec(name):
                raise PackageError(f"logger '{name}': the package is not installed; pip install {name}")
        self.backends = [LOGGERS[name](folder) for name in loggers]
        self.file = folder / LOG_FILE
        self.images = images  # images of a forward, over all processes

    def before_train(self, runner: Any) -> None:
        forget_after(self.file, steps_done(runner))
        self._start()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Tensor] | None = None
    ) -> None:
        self.forwards += 1
        for name, value in (outputs or {}).items():
            self.sums[name] = self.sums.get(name, 0) + value.detach().float()
        if runner.optim_wrapper.should_update() and steps_done(runner) % EVERY == 0:
            self._write(steps_done(runner), self._scalars(runner.optim_wrapper))
            self._start()

    def after_train(self, runner: Any) -> None:
        if self.forwards:
            self._write(steps_done(runner), self._scalars(runner.optim_wrapper))
        for backend in self.backends:
            backend.close()

    def _start(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.forwards, self.since = 0, time.perf_counter()

    def _scalars(self, optimiser: Any) -> dict[str, float]:
        losses = dict(zip(self.sums, (torch.stack(list(self.sums.values())) / self.forwards).tolist(), strict=True))
        speed = self.forwards * self.images / (time.perf_counter() - self.since)
        scalars = {**losses, "lr": max(optimiser.get_lr()["lr"]), "images_per_second": speed}
        if optimiser.clip_grad_kwargs:
            scalars["grad_norm"] = optimiser.message_hub.get_scalar("train/grad_norm").current()
        return scalars

    def _write(self, step: int, scalars: dict[str, float]) -> None:
        try:
            with open_plain(self.file, "ab") as handle:
                handle.write(json.dumps({"step": step, **scalars}).encode() + b"\n")
        except OSError as error:
            raise _unusable(self.file, error) from error
        for backend in self.backends:
            backend.add_scalars(scalars, step)


def mean_scalars(file: Path, after: int) -> dict[str, float]:
    """Return each scalar's mean over the lines after a step, which are means themselves; empty if none was logged."""
    late = [line for line in _lines(file) if line["step"] > after]
    return {
        name: fmean(line[name] for line in late if name in line)
        for name in (late[-1] if late else {})
        if name != "step"
    }


def thinned(file: Path, points: int) -> dict[str, list[float]]:
    """Return each scalar's values at about so many of the logged steps, the steps under "step"; for a curve."""
    lines = _lines(file)
    lines = [line for line in lines if lines[0].keys() <= line.keys()]
    kept = lines[:: max(1, -(-len(lines) // points))]
    return {name: [line[name] for line in kept] for name in (lines[0] if lines else {})}


def forget_after(file: Path, step: int) -> None:
    """Remove the lines of steps that an interrupted run did after its last save: they are done again."""
    lines = _lines(file)
    if file.is_file():
        with atomic_file(file) as handle:
            handle.writelines(json.dumps(line).encode() + b"\n" for line in lines if line["step"] <= step)


def _lines(file: Path) -> list[dict[str, float]]:
    """Return the lines of a log that hold the scalars of a step; UMTError if it is a link or the like."""
    try:
        content = read_plain(file)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(file, error) from error
    return [line for line in map(_parsed, content.splitlines()) if "step" in line]


def _parsed(line: bytes) -> dict[str, float]:
    """Return the scalars of a line; empty if it holds anything else, such as a line that was cut."""
    with suppress(ValueError, RecursionError):
        scalars = json.loads(line)
        if isinstance(scalars, dict) and all(isinstance(value, (int, float)) for value in scalars.values()):
            return scalars
    return {}


def _unusable(file: Path, error: OSError) -> UMTError:
    return WriteError(f"{file}: scalars cannot be logged there ({error.strerror}); remove it")
