"""Hooks of the training engine: the schedule that counts optimiser steps, and resuming after an interruption."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast, get_dist_info
from mmengine.hooks import Hook, ParamSchedulerHook

from umt.host_copies import HostCopy

RESUME_FILE = "resume.pth"
ASK_EVERY = 10  # optimiser steps between questions to the first process


class StepScheduleHook(ParamSchedulerHook):
    """A hook that moves the learning rate after optimiser steps only: accumulation does not change the schedule."""

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, *args, **kwargs)


class ResumeHook(Hook):
    """A hook that saves the run every `every` optimiser steps, if the last save is `seconds` old, and at the end.

    The random state of each process goes with it: a resumed run ends in the same weights as a run that was never
    interrupted. If worker processes draw augmentations from their own state, these are drawn anew; keys of
    `VisitSampler` make them exact, too.
    """

    priority = "LOWEST"

    def __init__(self, seconds: float, every: int | None = None) -> None:
        self.seconds, self.every = seconds, every
        self.restored: Sequence[Mapping[str, Any]] = ()
        self.step = 0  # step of the last save
        self.answer: HostCopy | None = None  # of the first process, if it is time to save

    def before_train(self, runner: Any) -> None:
        self.saved, self.step = time.monotonic(), steps_done(runner)
        rank = get_dist_info()[0]
        if rank < len(self.restored):
            set_random_state(self.restored[rank])

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        if runner.optim_wrapper.should_update() and self._is_due(runner):
            runner.save_run(Path(runner.work_dir) / RESUME_FILE)
            self.saved, self.step = time.monotonic(), steps_done(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["random_state"] = all_gather_object(random_state())

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self.restored = checkpoint["random_state"]

    def last_save(self, runner: Any) -> str | None:
        """Return the file that a stopped run goes on from, and its step, if there is one."""
        return f"{Path(runner.work_dir) / RESUME_FILE} (step {self.step})" if self.step else None

    def next_start(self, runner: Any) -> str:
        """Say from where the same command goes on after an interruption."""
        saved = self.last_save(runner)
        return (
            f"the same command goes on from {saved}"
            if saved
            else "nothing was saved yet: the same command begins again"
        )

    def _is_due(self, runner: Any) -> bool:
        last = runner.iter + 1 == runner.max_iters  # the next steps may fail: a test, or the file of the weights
        if last or (self.every and steps_done(runner) % self.every == 0):
            return True
        elapsed = time.monotonic() - self.saved >= self.seconds
        return elapsed if get_dist_info()[1] == 1 else self._agreed(runner, elapsed)

    def _agreed(self, runner: Any, elapsed: bool) -> bool:
        """Return the first process's answer: clocks differ between processes, and all must save together.

        It is asked for every ASK_EVERY steps, and read at the next one, so that no device waits for it.
        """
        agreed = self.answer is not None and bool(self.answer.read()[0])
        self.answer = None
        if not agreed and steps_done(runner) % ASK_EVERY == 0:
            answer = torch.full((1,), float(elapsed), device=next(runner.model.parameters()).device)
            broadcast(answer)
            self.answer = HostCopy([answer])
        return agreed


def steps_done(runner: Any) -> int:
    """Return the optimiser steps of a run so far."""
    steps: int = runner.optim_wrapper.inner_count // runner.optim_wrapper._accumulative_counts
    return steps


def random_state() -> dict[str, Any]:
    """Return the state of every generator that training draws from, in tensors and plain values."""
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if get_dist_info()[1] == 1 else _own_cuda_state(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore every generator to `random_state()`."""
    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if get_dist_info()[1] == 1:
        torch.cuda.set_rng_state_all(state["cuda"])
    else:
        for value in state["cuda"]:
            torch.cuda.set_rng_state(value)


def _own_cuda_state() -> list[torch.Tensor]:
    """Return the state of this process's GPU alone: reading another GPU's would take memory there."""
    return [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
