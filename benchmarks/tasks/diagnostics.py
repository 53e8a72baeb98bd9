"""Diagnostics of frozen features: rank, spectrum, dimension, outlier tokens and how well tokens tell their place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_parts, frozen_work
from benchmarks.tasks.knn import ranks
from benchmarks.tasks.workload import Workload, split_sizes
from umt.analysis.spectra import alpha_req, intrinsic_dimension, lidar, norm_statistics, position_r2
from umt.errors import BackboneError, DeclarationError, TooFewError

MAP = "map:-1"


@dataclass(frozen=True)
class DiagnosticsSettings:
    """Everything that changes the numbers."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    images: int  # of the reported split, at equal distances
    outlier_factor: float  # a token is an outlier if its norm is above so many times the median norm

    def __post_init__(self) -> None:
        if self.images < 2 or self.outlier_factor <= 0:
            raise DeclarationError("diagnostics: take at least 2 images, and an outlier_factor above 0")


def run(job: Job[DiagnosticsSettings]) -> Outcome:
    """Compute all numbers from pooled features and the last map of some reported images."""
    settings = job.settings
    reported = job.dataset.reported_samples
    rows = np.unique(np.linspace(0, len(reported) - 1, settings.images).astype(int))
    if len(rows) < 3:
        raise TooFewError(f"{job.dataset.root}: {len(rows)} reported images; diagnostics take at least 3")
    samples = [reported[index] for index in rows]
    view = (settings.resolution, settings.crop_pct)
    parts, labels = frozen_parts(job, samples, *view, what=("pooled", MAP))
    pooled, tokens = parts["pooled"], parts[MAP]
    norms = np.linalg.norm(tokens.astype(np.float64), axis=1).reshape(len(tokens), -1)
    metrics = {
        **ranks(pooled),
        "alpha_req": alpha_req(pooled),
        "lidar": lidar(pooled, labels),
        "intrinsic_dimension": intrinsic_dimension(pooled),
        **norm_statistics(norms, settings.outlier_factor),
        "position_r2": position_r2(tokens),
    }
    missing = [name for name, value in metrics.items() if not math.isfinite(value)]
    if missing:
        raise BackboneError(
            f"backbone '{job.backbone.spec}': {', '.join(missing)} of maps of {tokens.shape[2]}x{tokens.shape[3]} "
            f"tokens and {len(samples)} images cannot be computed; take a larger resolution, or more images"
        )
    return Outcome(
        metrics=metrics,
        details={"images": len(samples), "feature_width": pooled.shape[1], "tokens": norms.shape[1]},
    )


def workload(settings: DiagnosticsSettings, sizes: Mapping[str, int]) -> Workload:
    """Count a pass of the chosen images."""
    _, reported = split_sizes(sizes)
    splits = {"training": 0, "reported": min(settings.images, reported)}
    return frozen_work(splits, settings.resolution, settings.crop_pct, what=("pooled", MAP), splits=("reported",))


TASK = Task(
    name="diagnostics",
    about="rank, spectrum, dimension, outlier tokens and positions of frozen features",
    settings=DiagnosticsSettings,
    metrics=(
        Metric("rankme", ""),
        Metric("effective_rank", ""),
        Metric("alpha_req", "", higher_is_better=False),
        Metric("lidar", ""),
        Metric("intrinsic_dimension", ""),
        Metric("outlier_share", "%", higher_is_better=False),
        Metric("norm_ratio", "", higher_is_better=False),
        Metric("position_r2", "%", higher_is_better=False),
    ),
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
