"""The conditions of a figure: the machine, and the clock that suits it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.perf.row import interleaved

SIDES = {"cpu": 2048, "cuda": 8192}  # of the square matrices whose product is a device's peak
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def about(device: torch.device) -> str:
    """Describe the device in words, for the caption of a table."""
    version = f"torch {torch.__version__}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, seconds until the device is done, {version}"
    units = "with" if torch.cpu._is_amx_tile_supported() else "without"
    return f"CPU with {torch.backends.cpu.get_cpu_capability()}, {units} AMX, one thread, {version}"


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock: CPU seconds of this process, which others hardly change; on a GPU seconds until it is done."""
    if device.type != "cuda":
        return time.process_time

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def waiting_clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock for the time that a loop waits for its loader, which does not make a GPU finish first."""
    return time.process_time if device.type == "cpu" else time.perf_counter


def peak_share(step: Callable[[], object], seconds: float, device: torch.device, precision: str) -> float:
    """Return the operations a second of a step that takes so long, over the device's peak in the same process."""
    return count_flops(step) / seconds / peak_flops(device, precision)


def count_flops(step: Callable[[], object]) -> int:
    """Count the operations of a step's matrix products, convolutions and attention, forward and backward."""
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


@cache
def peak_flops(device: torch.device, precision: str) -> float:
    """Measure the operations a second of a large matrix product."""
    side = SIDES[device.type]
    first, second = torch.randn(2, side, side, device=device, dtype=DTYPES.get(precision, torch.float32)).unbind()

    def multiply() -> None:
        torch.mm(first, second)

    multiply()
    (seconds,) = interleaved(multiply, repeats=5, clock=clock_of(device))
    return 2 * side**3 / seconds
