"""Learning-rate schedules as mmengine `param_scheduler` declarations."""

from __future__ import annotations

from typing import Any


def warmup_then(policy: str, *, total: int, warmup: int, start_lr_factor: float = 1e-3) -> list[dict[str, Any]]:
    """Return a linear warm-up whose peak is the last of `warmup` iterations, then decay; policy 'cosine' or 'linear'.

    Cosine would be zero in iteration `total`, linear is zero in the last one, as in mmengine's own schedules.
    The factors multiply each parameter group's own learning rate, so layer-wise scales survive.
    """
    decay = {"begin": warmup, "end": total, "by_epoch": False}
    schedule: list[dict[str, Any]] = []
    if warmup > 1:  # a single iteration of warm-up is at the peak
        schedule.append(
            {"type": "LinearLR", "start_factor": start_lr_factor, "begin": 0, "end": warmup, "by_epoch": False}
        )
    if policy == "cosine":
        return [*schedule, {"type": "CosineAnnealingLR", "T_max": total - warmup, "eta_min": 0.0, **decay}]
    return [*schedule, {"type": "PolyLR", "power": 1.0, "eta_min": 0.0, **decay}]
