"""A hook that stops a run if its loss or weights are not finite, before it saves anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from torch import Tensor

from umt.errors import NotFiniteError
from umt.host_copies import HostCopy
from umt.training.hooks.saving import ResumeHook

LOOK_EVERY = 10  # iterations


@dataclass(frozen=True)
class Forward:
    """The values of an iteration's forward."""

    iteration: int
    names: tuple[str, ...]
    values: Tensor


class FiniteHook(Hook):
    """A hook that raises UMTError if a forward's value, on any process, or a weight to be saved is not finite.

    It keeps the values on the device and looks at them every LOOK_EVERY iterations, on a GPU one iteration later, so
    that the device never waits; and before each save and test. The error names the iteration whose value it was.
    """

    priority = "VERY_HIGH"

    def __init__(self, saver: ResumeHook, lr: float) -> None:
        self.saver, self.lr = saver, lr
        self.forwards: list[Forward] = []  # not looked at
        self.values_sent: tuple[list[Forward], HostCopy] | None = None

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Tensor] | None = None
    ) -> None:
        self._judge(runner)
        if outputs:
            values = torch.stack([value.detach() for value in outputs.values()])
            self.forwards.append(Forward(runner.iter + 1, tuple(outputs), values))
        if (runner.iter + 1) % LOOK_EVERY == 0:
            self._send()
            if self.values_sent and not self.values_sent[1].late:
                self._judge(runner)

    def before_val(self, runner: Any) -> None:
        self._force(runner)

    def after_train(self, runner: Any) -> None:
        self._force(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self._force(runner)
        for name, value in checkpoint["state_dict"].items():
            if value is not None and not value.isfinite().all():
                self._stop(runner, runner.iter + 1, f"weight '{name}' is not finite")

    def _force(self, runner: Any) -> None:
        self._judge(runner)
        self._send()
        self._judge(runner)

    def _send(self) -> None:
        """Send the values that are not looked at on their way, with the verdict of all processes."""
        if self.forwards:
            values = torch.cat([forward.values for forward in self.forwards])
            finite = values.isfinite().int()
            all_reduce(finite, op="min")
            self.values_sent, self.forwards = (self.forwards, HostCopy([values, finite])), []

    def _judge(self, runner: Any) -> None:
        """Raise UMTError if a value of the last look was not finite."""
        if self.values_sent is None:
            return
        (forwards, copy), self.values_sent = self.values_sent, None
        values, finite = (iter(numbers.tolist()) for numbers in copy.read())
        for forward in forwards:
            bad = {
                name: value
                for name, value, is_finite in zip(forward.names, values, finite, strict=False)
                if not is_finite
            }
            if bad:
                name = next((name for name in bad if name != "loss"), "loss")  # a part says more than the sum
                title = "loss" if name == "loss" else f"loss '{name}'"
                self._stop(runner, forward.iteration, f"{title} is {_word(bad[name])}")

    def _stop(self, runner: Any, iteration: int, problem: str) -> None:
        saved = self.saver.last_save(runner)
        last_save = f"the last good checkpoint is {saved}" if saved else "no checkpoint was saved before"
        raise NotFiniteError(
            f"iteration {iteration}: {problem}; {last_save}; lower lr (now {self.lr:g}) or set clip_norm"
        )


def _word(number: float) -> str:
    return "not finite on another process" if math.isfinite(number) else str(number)
