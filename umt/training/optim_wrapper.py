"""Optimiser wrappers that train in a precision; apart from its choice, which needs no mmengine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from umt.training.precision import pick_precision


class NormOptimWrapper(OptimWrapper):
    """An optimiser wrapper that leaves the norm of a clipped gradient on its device, as `grad_norm`.

    mmengine's makes it a number in every step, for which the device has to wait. Groups of the optimiser that have
    another `clipped_with` are clipped apart: models that train side by side do not know of each other.
    """

    grad_norm: Tensor | None = None

    def _clip_grad(self) -> None:
        parts: dict[Any, list[Tensor]] = {}
        for group in self.optimizer.param_groups:
            with_gradient = [value for value in group["params"] if value.grad is not None]
            parts.setdefault(group.get("clipped_with"), []).extend(with_gradient)
        norms = [self._clipped(values) for values in parts.values() if values]
        if norms:
            self.grad_norm = norms[0] if len(norms) == 1 else torch.stack(norms).square().sum().sqrt()

    def _clipped(self, values: list[Tensor]) -> Tensor:
        """Clip the gradients of these weights together, and return the norm that they had."""
        norm: Tensor = self.clip_func(values, **self.clip_grad_kwargs)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm


class ScaledOptimWrapper(NormOptimWrapper, AmpOptimWrapper):
    """mmengine's wrapper for fp16."""


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(NormOptimWrapper):
    """An optimiser wrapper: forward under `torch.autocast(device_type, bfloat16)`; bf16 needs no loss scaling.

    mmengine's AmpOptimWrapper refuses the CPU.
    """

    def __init__(self, device_type: str = "cpu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.device_type = device_type

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast(self.device_type, torch.bfloat16):
            yield


def make_optim_wrapper(setting: str, device: torch.device, **options: Any) -> NormOptimWrapper:
    """Make an mmengine optimiser wrapper with these options that trains in a precision; fp16 scales the loss."""
    precision = pick_precision(setting, device)
    if precision == "fp32":
        return NormOptimWrapper(**options)
    if precision == "fp16":
        return ScaledOptimWrapper(dtype="float16", **options)
    return AutocastOptimWrapper(device.type, **options)
