"""Frozen features of a job's images, for the tasks that train no backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.tasks.contract import Job
from umt.backbones.contract import round_up
from umt.data.registry import Sample
from umt.features import extract_features

BATCH = {"cpu": 32, "cuda": 256}  # images a forward; it changes no number


def frozen_features(
    job: Job, samples: Sequence[Sample], resolution: int, crop_pct: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features float32 [N, D] and labels [N], in the order of the samples.

    A resolution that the backbone cannot take grows to the next one that it can.
    """
    features, labels = extract_features(
        job.backbone,
        samples,
        round_up(resolution, job.backbone.preprocess.size_multiple),
        job.device,
        BATCH.get(job.device.type, 32),
        job.progress,
        crop_pct=crop_pct,
    )
    return features.numpy(), labels.numpy()
