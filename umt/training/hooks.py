"""Hooks of the training engine: the schedule that counts optimiser steps, and resuming after an interruption."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook, ParamSchedulerHook

RESUME_FILE = "resume.pth"


class StepScheduleHook(ParamSchedulerHook):
    """Moves the learning rate after optimiser steps only, so that accumulation does not change the schedule."""

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, *args, **kwargs)


class ResumeHook(Hook):
    """Saves the run after an optimiser step when `seconds` have passed; the file is replaced whole.

    The random state goes with it: without worker processes the resumed run ends in the same weights as one that
    was never interrupted; with them images and their order are the same, augmentations are drawn anew.
    """

    priority = "LOWEST"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.restored: Mapping[str, Any] | None = None

    def before_train(self, runner: Any) -> None:
        self.saved = time.monotonic()
        if self.restored:
            set_random_state(self.restored)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        due = time.monotonic() - self.saved >= self.seconds
        if due and runner.optim_wrapper.should_update() and runner.iter + 1 < runner.max_iters:
            runner.save_checkpoint(runner.work_dir, f"partial-{RESUME_FILE}", by_epoch=False)
            folder = Path(runner.work_dir)
            (folder / f"partial-{RESUME_FILE}").replace(folder / RESUME_FILE)
            self.saved = time.monotonic()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["message_hub"] = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}}  # plain values only
        checkpoint["random_state"] = random_state()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self.restored = checkpoint["random_state"]


def random_state() -> dict[str, Any]:
    """State of every generator that training draws from, in tensors and plain values."""
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put every generator back to `random_state()`."""
    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    torch.cuda.set_rng_state_all(state["cuda"])
