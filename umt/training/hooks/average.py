"""The exponential moving average of a model's weights over optimiser steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from umt.training.parallel import gather, local_shard, shard_like, unwrap


class AverageHook(Hook):
    """A moving average: average = decay * average + (1 - decay) * weights a step; the model holds it in the end.

    It is updated after each optimiser step, and starts at the weights after the first step. Statistics of BatchNorm are
    averaged like weights, so that both come from the same stretch of the training. mmengine's EMAHook would count
    forwards instead of optimiser steps, and would copy everything that hangs on the model.
    """

    def __init__(self, decay: float) -> None:
        self.update = get_ema_multi_avg_fn(decay)
        self.average: dict[str, Tensor] = {}
        self.restored: Mapping[str, Tensor] = {}

    def before_train(self, runner: Any) -> None:
        live = averaged_tensors(unwrap(runner.model))
        self.average = {name: shard_like(value, live[name]) for name, value in self.restored.items()}

    @torch.no_grad()
    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        if not runner.optim_wrapper.should_update():
            return
        live = averaged_tensors(unwrap(runner.model))
        if not self.average:
            self.average = {name: value.detach().clone() for name, value in live.items()}
        else:
            pairs = [(local_shard(value), local_shard(live[name])) for name, value in self.average.items()]
            self.update([average for average, _ in pairs], [value for _, value in pairs], 1)

    @torch.no_grad()
    def after_train(self, runner: Any) -> None:
        for name, value in averaged_tensors(unwrap(runner.model)).items():
            value.copy_(self.average[name])

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["average"] = gather(self.average)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self.restored = checkpoint["average"]


def averaged_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers to average; integers, such as counters, are left out."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: value for name, value in tensors.items() if value.is_floating_point()}
