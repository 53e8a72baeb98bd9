"""Progress of a training run, passed on to the code that draws it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from umt.host_copies import HostCopy


class ProgressHook(Hook):
    """A hook that reports (iteration, iterations, text) at most twice a second: losses, images a second, a note.

    A run that was interrupted reports first from where it goes on. On a GPU a report is an iteration late, so that the
    device does not wait for it.
    """

    priority = "VERY_LOW"

    def __init__(
        self, report: Callable[[int, int, str], None], batch_size: int, note: Callable[[], str] | None = None
    ) -> None:
        self.report = report
        self.batch_size = batch_size  # images of an iteration, over all processes
        self.note = note

    def before_train(self, runner: Any) -> None:
        self.started, self.first, self.shown = time.perf_counter(), runner.iter, 0.0
        self.losses: Losses | None = None  # not yet reported
        if runner.iter:
            self.report(runner.iter, runner.max_iters, f"going on from iteration {runner.iter}")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Tensor] | None = None
    ) -> None:
        now, done = time.perf_counter(), runner.iter + 1
        due = now - self.shown >= 0.5 or done == runner.max_iters
        if due and self.losses is None:
            self.losses = Losses(outputs or {})
            if self.losses.late and done < runner.max_iters:
                return
        if self.losses is None:
            return
        self.shown = now
        speed = (done - self.first) * self.batch_size / max(now - self.started, 1e-9)
        notes = [self.note()] if self.note else []
        self.report(done, runner.max_iters, ", ".join([str(self.losses), f"{speed:.0f} img/s", *notes]))
        self.losses = None


class Losses(HostCopy):
    """The losses of an iteration as text; all values come from the device at once.

    Models that train together have a sum each, `NAME loss`, which then stands for its parts.
    """

    def __init__(self, outputs: Mapping[str, Tensor]) -> None:
        sums = [name for name in outputs if name.endswith(" loss")]
        self.names = ["loss", *(sums or (name for name in outputs if name != "loss"))]
        super().__init__([torch.stack([torch.as_tensor(outputs.get(name, torch.nan)).float() for name in self.names])])

    def __str__(self) -> str:
        """Return 'loss 1.234 (dino feature 0.800, dino token 0.434)'."""
        loss, *parts = self.read()[0].tolist()
        listed = ", ".join(f"{name} {value:.3f}" for name, value in zip(self.names[1:], parts, strict=True))
        return f"loss {loss:.3f} ({listed})" if parts else f"loss {loss:.3f}"
