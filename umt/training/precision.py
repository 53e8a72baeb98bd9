"""Mixed precision on any device: the choice of a precision, and attention that trains fast in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from umt.errors import DeviceError, unknown_name

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


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
