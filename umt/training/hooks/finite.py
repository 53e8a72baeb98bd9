"""A hook that stops a run if its loss or weights are not finite, before it saves anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from torch import Tensor

from umt.errors import NotFiniteError
from umt.training.hooks.saving import ResumeHook


class FiniteHook(Hook):
    """A hook that raises UMTError if a forward's value, on any process, or a weight to be saved is not finite.

    It looks at the device once an iteration, for any number of values.
    """

    priority = "VERY_HIGH"

    def __init__(self, saver: ResumeHook, lr: float) -> None:
        self.saver, self.lr = saver, lr

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Tensor] | None = None
    ) -> None:
        if not outputs:
            return
        finite = torch.stack([value.detach() for value in outputs.values()]).isfinite().int()
        all_reduce(finite, op="min")
        bad_names = [name for name, is_finite in zip(outputs, finite.tolist(), strict=True) if not is_finite]
        if bad_names:
            name = next((name for name in bad_names if name != "loss"), None)  # a part says more than the sum
            subject = f"loss '{name}'" if name else "loss"
            self._stop(runner, f"{subject} is {_word(outputs[name or 'loss'])}")

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        for name, value in checkpoint["state_dict"].items():
            if value is not None and not value.isfinite().all():
                self._stop(runner, f"weight '{name}' is not finite")

    def _stop(self, runner: Any, problem: str) -> None:
        saved = self.saver.last_save(runner)
        last_save = f"the last good checkpoint is {saved}" if saved else "no checkpoint was saved before"
        raise NotFiniteError(
            f"iteration {runner.iter + 1}: {problem}; {last_save}; lower lr (now {self.lr:g}) or set clip_norm"
        )


def _word(value: Tensor) -> str:
    number = value.item()
    return "not finite on another process" if math.isfinite(number) else str(number)
