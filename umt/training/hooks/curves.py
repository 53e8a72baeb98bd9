"""A hook that logs the scalars of a training."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from umt.host_copies import HostCopy
from umt.training.curves import Curves
from umt.training.hooks.saving import steps_done

STEPS_A_LINE = 10  # optimiser steps


@dataclass(frozen=True)
class Line:
    """The scalars of a step: those that come from the device, and those that are known."""

    step: int
    names: tuple[str, ...]
    values: HostCopy
    known: Mapping[str, float]

    def scalars(self) -> dict[str, float]:
        """Return all scalars by name."""
        (values,) = self.values.read()
        return {**dict(zip(self.names, values.tolist(), strict=True)), **self.known}


class CurvesHook(Hook):
    """A hook that logs each loss (its mean since the last line), lr, images a second and a clipped gradient's norm.

    Values of tests between steps are logged as `test/NAME`. On a GPU a line is written an iteration later, so that the
    device does not wait for it.
    """

    def __init__(self, folder: Path, images: int, *, wandb: bool) -> None:
        self.folder, self.wandb = folder, wandb
        self.images = images  # images of a forward, over all processes
        self.curves: Curves | None = None
        self.restored: Mapping[str, Any] = {}
        self.sums: dict[str, Tensor] = {}
        self.forwards = self.timed = 0  # since the last line; `timed` are those of this process
        self.line: Line | None = None  # not yet written

    def before_train(self, runner: Any) -> None:
        self.curves = Curves(self.folder, steps_done(runner), wandb=self.wandb)
        self._start()
        if self.restored:
            device = next(runner.model.parameters()).device
            self.forwards = self.restored["forwards"]
            self.sums = {name: value.to(device) for name, value in self.restored["sums"].items()}

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Tensor] | None = None
    ) -> None:
        self._write()
        self.forwards += 1
        self.timed += 1
        for name, value in (outputs or {}).items():
            self.sums[name] = self.sums.get(name, 0) + value.detach().float()
        if runner.optim_wrapper.should_update() and steps_done(runner) % STEPS_A_LINE == 0:
            self.line = self._line(runner)
            self._start()
            if not self.line.values.late:
                self._write()

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, Any] | None = None) -> None:
        self._write()
        values = {name.rpartition("/")[2]: value for name, value in (metrics or {}).items()}
        numbers = {f"test/{name}": float(value) for name, value in values.items() if isinstance(value, int | float)}
        self._add(steps_done(runner), numbers)

    def after_train(self, runner: Any) -> None:
        self._write()
        if self.forwards:
            self.line = self._line(runner)
            self._write()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self._write()  # a run that goes on from here does not write it again
        sums = {name: torch.as_tensor(value).cpu() for name, value in self.sums.items()}
        checkpoint["curves"] = {"forwards": self.forwards, "sums": sums}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self.restored = checkpoint.get("curves", {})  # earlier versions saved none

    def close(self) -> None:
        """Write what is still in memory, also after an error."""
        if self.curves:
            self._write()
            self.curves.close()

    def _start(self) -> None:
        self.sums, self.forwards = {}, 0
        self.timed, self.since = 0, time.perf_counter()

    def _line(self, runner: Any) -> Line:
        """Return the line of a step, with the values that are on the device on their way."""
        optimiser = runner.optim_wrapper
        known = {"lr": max(optimiser.get_lr()["lr"])}
        values = {name: value / self.forwards for name, value in self.sums.items()}
        if self.timed:  # else it goes on from its last step, which another process has done
            known["images_per_second"] = self.timed * self.images / (time.perf_counter() - self.since)
            if optimiser.clip_grad_kwargs:
                values["grad_norm"] = optimiser.grad_norm.float()
        return Line(steps_done(runner), tuple(values), HostCopy([torch.stack(list(values.values()))]), known)

    def _write(self) -> None:
        if self.line:
            self._add(self.line.step, self.line.scalars())
            self.line = None

    def _add(self, step: int, scalars: Mapping[str, float]) -> None:
        if self.curves:
            self.curves.add(step, scalars)


@contextmanager
def closed(hooks: Iterable[Hook]) -> Iterator[None]:
    """Close the curves among the hooks in the end, also after an error."""
    try:
        yield
    finally:
        for hook in hooks:
            if isinstance(hook, CurvesHook):
                hook.close()
