"""The work of a job after its features are computed, timed on random features: penalties, or votes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.tasks.knn import TEST_ROWS, KnnSettings, knn_votes
from umt.probes.path import penalty_path

MOST = 2000  # training images in the timed solve; more cost in proportion
VOTERS = 16384  # training images that vote; more cost in proportion, as do more images that they vote on


def solving_seconds(settings: Any, images: int, tested: int, dim: int, classes: int, device: torch.device) -> float:
    """Time so many training and test images, in seconds; 0 for protocols with neither penalties nor neighbours."""
    if hasattr(settings, "grid"):
        return _penalties(settings, images, dim, classes, device)
    if isinstance(settings, KnnSettings):
        return _votes(settings, images, tested, dim, classes, device)
    return 0.0


def _penalties(settings: Any, images: int, dim: int, classes: int, device: torch.device) -> float:
    """Time a linear probe under the protocol's own grid of penalties."""
    used, draw = min(images, MOST), np.random.default_rng(0)
    labels = np.arange(used) % classes
    features = draw.standard_normal((classes, dim))[labels] + draw.standard_normal((used, dim))
    started = time.perf_counter()
    for _ in penalty_path(features.astype(np.float32), labels, settings.grid, gap=settings.gap, device=device):
        pass
    return (time.perf_counter() - started) * images / used


def _votes(settings: KnnSettings, images: int, tested: int, dim: int, classes: int, device: torch.device) -> float:
    """Time the votes of the nearest neighbours, in the task's blocks."""
    voters, queries, draw = min(images, VOTERS), min(tested, TEST_ROWS), np.random.default_rng(0)
    train, test = (draw.standard_normal((rows, dim), dtype=np.float32) for rows in (voters, queries))
    ks = sorted({settings.k, *settings.other_k})
    started = time.perf_counter()
    knn_votes(train, np.arange(voters) % classes, test, classes, ks, settings.temperature, device)
    return (time.perf_counter() - started) * (images / voters) * (tested / queries)
