"""The conditions of a figure: the machine, and the clock that suits it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


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
