"""The learning rate of probe3d: a linear warm-up, then a quarter of a cosine."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class QuarterCosineLR(_ParamScheduler):
    """A line from `floor` to 1 over `warmup` of `end` steps, then a quarter of a cosine to the floor; factors on lr."""

    def __init__(self, optimizer: Any, *, end: int, warmup: int, floor: float, by_epoch: bool = False) -> None:
        self.warmup, self.floor = warmup, floor
        super().__init__(optimizer, "lr", end=end, by_epoch=by_epoch)

    def _get_value(self) -> list[float]:
        return [base * self.factor(self.last_step) for base in self.base_values]

    def factor(self, step: int) -> float:
        """Return the factor on each group's lr at optimiser step 0, 1, ..."""
        if step <= self.warmup:
            share = step / max(self.warmup, 1)
        else:
            share = math.cos(math.pi / 2 * (step - self.warmup) / (self.end - self.warmup))
        return self.floor + (1 - self.floor) * share
