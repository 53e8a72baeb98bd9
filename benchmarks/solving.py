"""What solving a linear probe takes: the protocol's own grid of penalties, on features drawn at random."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from umt.probes.path import penalty_path

MOST = 2000  # images that are solved for; more cost in proportion


def solving_seconds(settings: Any, images: int, dim: int, classes: int, device: torch.device) -> float:
    """Seconds of a probe on so many training images; 0 for protocols without a grid of penalties."""
    if not hasattr(settings, "grid"):
        return 0.0
    used, draw = min(images, MOST), np.random.default_rng(0)
    labels = np.arange(used) % classes
    features = draw.standard_normal((classes, dim))[labels] + draw.standard_normal((used, dim))
    started = time.perf_counter()
    for _ in penalty_path(features.astype(np.float32), labels, settings.grid, gap=settings.gap, device=device):
        pass
    return (time.perf_counter() - started) * images / used
