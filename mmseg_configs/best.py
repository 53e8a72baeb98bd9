"""Keep the weights that score best on the test set, as published code does, for protocols that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook

from umt.backbones.weights import read_file
from umt.files import atomic_file
from umt.training.hooks.saving import steps_done
from umt.training.parallel import gather, unwrap

BEST_FILE = "best.pth"


@dataclass(frozen=True)
class Best:
    """The metric whose best value selects the weights, tested every so many optimiser steps."""

    metric: str
    every: int
    higher: bool = False  # True if more is better

    def beats(self, value: float, previous: float) -> bool:
        """Return True if a value is better than the best so far."""
        return value > previous if self.higher else value < previous


class BestHook(Hook):
    """Test every `best.every` steps and after the last; the best so far is kept over an interruption, too.

    It comes before the save that resumes a run, so that no test is left out or done twice.
    """

    priority = "VERY_LOW"

    def __init__(self, best: Best) -> None:
        self.best = best
        self.value, self.step = -math.inf if best.higher else math.inf, 0

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        last = runner.iter + 1 == runner.max_iters
        if runner.optim_wrapper.should_update() and (last or steps_done(runner) % self.best.every == 0):
            metrics = runner.val_loop.run()
            value = next(value for name, value in metrics.items() if name.rpartition("/")[2] == self.best.metric)
            if self.best.beats(value, self.value):
                self.value, self.step = float(value), steps_done(runner)
                self._save_weights(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["best"] = {"value": self.value, "step": self.step}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self.value, self.step = checkpoint["best"]["value"], checkpoint["best"]["step"]

    def restore(self, runner: Any) -> None:
        """Load the best weights into the model; every process must call it."""
        barrier()  # the first one writes them
        unwrap(runner.model).load_state_dict(read_file(Path(runner.work_dir) / BEST_FILE))

    def _save_weights(self, runner: Any) -> None:
        weights = gather(unwrap(runner.model).state_dict())
        if is_main_process():
            with atomic_file(Path(runner.work_dir) / BEST_FILE) as handle:
                torch.save(weights, handle)
