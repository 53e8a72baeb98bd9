"""Progress of a training run, passed on to whoever draws it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from mmengine.hooks import Hook


class ProgressHook(Hook):
    """Reports (iteration, iterations, text) at most twice a second: loss and images a second."""

    priority = "VERY_LOW"

    def __init__(self, report: Callable[[int, int, str], None], batch_size: int) -> None:
        self.report = report
        self.batch_size = batch_size

    def before_train(self, runner: Any) -> None:
        self.started, self.first, self.shown = time.perf_counter(), runner.iter, 0.0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        now, done = time.perf_counter(), runner.iter + 1
        if now - self.shown < 0.5 and done < runner.max_iters:
            return
        self.shown = now
        speed = (done - self.first) * self.batch_size / max(now - self.started, 1e-9)
        loss = torch.as_tensor((outputs or {}).get("loss", torch.nan)).item()
        self.report(done, runner.max_iters, f"loss {loss:.3f}, {speed:.0f} img/s")
