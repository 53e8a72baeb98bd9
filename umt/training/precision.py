"""Mixed precision on any device: the choice of a precision, and the optimiser wrapper that trains with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from umt.errors import DeviceError, unknown_name

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


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


@contextmanager
def plain_attention(model: nn.Module, setting: str, device: torch.device) -> Iterator[None]:
    """Let timm's attention compute plain matrix products where they train faster: in bf16 on a CPU.

    The gradient of PyTorch's fused kernel is slow there. A training step of ViT-Ti on 36 tokens takes 1.8 times as
    long with it, that of ViT-S on 197 tokens 1.2 times (`benchmarks.perf vit_step`); plain products take 3% and 14%
    more memory.
    """
    slow: list[Any] = []
    if device.type == "cpu" and pick_precision(setting, device) == "bf16":
        slow = [part for part in model.modules() if getattr(part, "fused_attn", False) and _is_trained(part)]
    for part in slow:
        part.fused_attn = False
    try:
        yield
    finally:
        for part in slow:
            part.fused_attn = True


def _is_trained(module: nn.Module) -> bool:
    return any(value.requires_grad for value in module.parameters())


def pick_precision(setting: str, device: torch.device) -> str:
    """Return 'fp32', 'bf16' or 'fp16'; 'auto' is bf16 if that is faster on the device. UMTError for fp16 on a CPU."""
    if setting not in PRECISIONS:
        raise unknown_name("precision", setting, PRECISIONS)
    if setting == "fp16" and device.type != "cuda":
        raise DeviceError(f"precision fp16 trains on GPUs only, the device is {device.type}; take bf16 or fp32")
    if setting != "auto":
        return setting
    return "bf16" if has_fast_bf16(device) else "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Return true if bf16 is faster than fp32 there: GPUs from Ampere on, CPUs with matrix units (AMX).

    AVX512-BF16 without AMX is not enough: autocast then takes 1.4 (ResNet-50) to 2 times (ViT-S, EfficientNet-Lite0)
    the time of fp32, as measured on a Xeon.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


def has_bf16_products(device: torch.device) -> bool:
    """Return true if a bf16 matrix product takes less than half of its fp32 time: CPUs with AMX or AVX512-BF16.

    On an EPYC (Zen 4) 6667 x 768 times 768 x 100 runs at 181 GFLOP/s in bf16 and 60 in fp32.
    """
    cpu = torch.cpu
    return device.type == "cpu" and bool(cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported())
