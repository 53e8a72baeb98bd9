"""Learning rates that fall from the first step on, under the warm-up: the schedules of DINOv2's and DINOv3's probes."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class FallingWarmupLR(_ParamScheduler):
    """A straight line to 0 at `end`, times a linear ramp from `start` to 1 over the first `warmup` steps.

    With curve 'linear' this is mmcv's 'poly' of power 1 (DINOv2). With 'cosine' the line holds during the warm-up
    only, and half a cosine after it, one step ahead: there is a small leap up between them (DINOv3).
    """

    def __init__(
        self, optimizer: Any, *, end: int, warmup: int, start: float, curve: str, by_epoch: bool = False
    ) -> None:
        self.warmup, self.start, self.curve = warmup, start, curve
        super().__init__(optimizer, "lr", end=end, by_epoch=by_epoch)

    def _get_value(self) -> list[float]:
        return [base * self.factor(self.last_step) for base in self.base_values]

    def factor(self, step: int) -> float:
        """Return the factor on each group's lr at optimiser step 0, 1, ..."""
        if step < self.warmup:
            ramp = self.start + (1 - self.start) * step / self.warmup
            return ramp * (1 - step / self.end)
        if self.curve == "cosine":
            return (1 + math.cos(math.pi * (step + 1) / self.end)) / 2
        return 1 - step / self.end


def falling(curve: str, *, total: int, warmup: int, start: float) -> list[dict[str, Any]]:
    """Return mmengine's `param_scheduler` of the schedule; `start` is the factor on lr at the first step."""
    return [
        {
            "type": "FallingWarmupLR",
            "end": total,
            "warmup": warmup,
            "start": start,
            "curve": curve,
            "by_epoch": False,
        }
    ]
