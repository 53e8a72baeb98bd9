"""The learning-rate schedules of DINOv2's and DINOv3's published dense probes, in closed form."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS

ONE_CYCLE_LAST = 1 / 25 / 1000  # of lr, at the end: torch's div_factor and the published final_div_factor
ONE_CYCLE_MOMENTA = (0.85, 0.95)  # first and last after the warm-up
ONE_CYCLE_TURN = 0.3  # of the steps, at which mmcv's and torch's momentum is least
COSINE_LAST = 1e-8  # of lr, at the end of DINOv2's cosine


@PARAM_SCHEDULERS.register_module()
class FallingWarmupLR(_ParamScheduler):
    """A straight line to 0 at `end`, times a linear ramp from `start` to 1 over the first `warmup` steps.

    With curve 'linear' this is mmcv's 'poly' of power 1 (DINOv2). With 'cosine' the line holds during the warm-up
    only, and half a cosine after it, one step ahead: there is a small leap up between them. All of it comes a step
    later, because the published training does not move on after its first step (DINOv3). With 'annealed' half a cosine
    stands in the place of the line: mmcv's 'CosineAnnealing' (DINOv2's depth).
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
        if self.curve == "cosine":
            step = max(step - 1, 0)
        line = 1 - step / self.end
        if self.curve == "annealed":
            line = COSINE_LAST + (1 - COSINE_LAST) * _falling(step / self.end)
        if step < self.warmup:
            return line * (self.start + (1 - self.start) * step / self.warmup)
        return _falling((step + 1) / self.end) if self.curve == "cosine" else line


def falling(curve: str, *, total: int, warmup: int, start: float) -> list[dict[str, Any]]:
    """Return mmengine's `param_scheduler` of the schedule; `start` is the factor on lr at the first step."""
    steps = {"end": total, "warmup": warmup, "by_epoch": False}
    return [{"type": "FallingWarmupLR", "start": start, "curve": curve, **steps}]


@PARAM_SCHEDULERS.register_module()
class WarmupOneCycleLR(_ParamScheduler):
    """A linear ramp under a cosine for `warmup` of `end` steps, then the cosine alone; factors on each group's lr."""

    def __init__(self, optimizer: Any, *, end: int, warmup: int, start: float, by_epoch: bool = False) -> None:
        self.warmup, self.start = warmup, start
        super().__init__(optimizer, "lr", end=end, by_epoch=by_epoch)

    def _get_value(self) -> list[float]:
        return [base * self.factor(self.last_step) for base in self.base_values]

    def factor(self, step: int) -> float:
        """Return the factor on the peak at optimiser step 0, 1, ..."""
        if step < self.warmup:
            return self.start + _falling(step / self.end) * step / self.warmup
        return ONE_CYCLE_LAST + (1 - ONE_CYCLE_LAST) * _falling((step + 1) / self.end)


@PARAM_SCHEDULERS.register_module()
class WarmupOneCycleMomentum(MomentumSchedulerMixin, _ParamScheduler):
    """AdamW's first beta in that schedule: 0 in the warm-up, as in the published code, then 0.85 to 0.95."""

    def __init__(self, optimizer: Any, *, end: int, warmup: int, by_epoch: bool = False) -> None:
        self.warmup = warmup
        super().__init__(optimizer, end=end, by_epoch=by_epoch)

    def _get_value(self) -> list[float]:
        return [self.beta(self.last_step)] * len(self.base_values)

    def beta(self, step: int) -> float:
        """Return beta at optimiser step 0, 1, ..."""
        if step < self.warmup:
            return 0.0
        first, last = ONE_CYCLE_MOMENTA
        return last + (first - last) * _falling((step - self.warmup) / (self.end - self.warmup))


@PARAM_SCHEDULERS.register_module()
class OneCycleMomentum(MomentumSchedulerMixin, _ParamScheduler):
    """AdamW's first beta from 0.95 down to 0.85 and up again, each by half a cosine, as mmcv and torch move it."""

    def _get_value(self) -> list[float]:
        return [self.beta(self.last_step)] * len(self.base_values)

    def beta(self, step: int) -> float:
        """Return beta at optimiser step 0, 1, ..."""
        low, high = ONE_CYCLE_MOMENTA
        turn, last = ONE_CYCLE_TURN * self.end - 1, self.end - 1
        if step <= turn:
            return low + (high - low) * _falling(step / turn)
        return high + (low - high) * _falling((step - turn) / (last - turn))


def annealed(*, total: int, warmup: int, start: float) -> list[dict[str, Any]]:
    """Return mmengine's `param_scheduler` of DINOv2's depth; `start` is the factor on lr at the first step."""
    return [
        *falling("annealed", total=total, warmup=warmup, start=start),
        {"type": "OneCycleMomentum", "end": total, "by_epoch": False},
    ]


def one_cycle(*, total: int, warmup: int, start: float) -> list[dict[str, Any]]:
    """Return mmengine's `param_scheduler` of the schedule; `start` is the factor on lr at the first step."""
    steps = {"end": total, "warmup": warmup, "by_epoch": False}
    return [
        {"type": "WarmupOneCycleLR", "start": start, **steps},
        {"type": "WarmupOneCycleMomentum", **steps},
    ]


def _falling(share: float) -> float:
    """Return half a cosine from 1 to 0."""
    return (1 + math.cos(math.pi * share)) / 2
