"""Frozen features of a job's images, for the tasks that train no backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.tasks.contract import Job, Settings
from benchmarks.tasks.workload import FeaturePasses, Passes, Solve, Workload, split_sizes
from umt.data.contract import LabelledImages, Sample
from umt.feature_cache.lookup import cached_features
from umt.features import Extraction
from umt.training.precision import pick_precision

BATCH = {"cpu": 32, "cuda": 256}  # images a forward; the size changes no number


def frozen_features(
    job: Job[Settings],
    samples: Sequence[Sample],
    resolution: int,
    crop_pct: float,
    precision: str = "fp32",
) -> tuple[np.ndarray, np.ndarray]:
    """Return pooled features float32 [N, D] and labels [N], as `frozen_parts` gives them."""
    parts, labels = frozen_parts(job, samples, resolution, crop_pct, precision)
    return parts["pooled"], labels


def frozen_parts(
    job: Job[Settings],
    samples: Sequence[Sample],
    resolution: int,
    crop_pct: float,
    precision: str = "fp32",
    what: Sequence[str] = ("pooled",),
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return parts of the features, each float32 [N, ...], and labels [N], in the order of the samples.

    They come from the job's cache if possible; those that are missing are computed in one pass over the images. A
    resolution that the backbone cannot take grows to the next one that it can. precision: "fp32", by which a number is
    the same on every machine; "bf16"; or "auto", which is bf16 if the device is faster in it. what: parts as
    `Extraction` names them.
    """
    extraction = Extraction(
        job.backbone.side(resolution),
        crop_pct,
        precision=pick_precision(precision, job.device),
        compiled=job.compiled,
    )
    batch = BATCH.get(job.device.type, 32)
    features = cached_features(job.backbone, samples, extraction, what, job.device, batch, job.progress, job.cache)
    parts = {name: values.numpy() for name, values in zip(what, features, strict=True)}
    return parts, LabelledImages.of(samples).targets


def frozen_work(
    sizes: Mapping[str, int],
    resolution: int | None,
    crop_pct: float,
    precision: str = "fp32",
    what: Sequence[str] = ("pooled",),
    splits: Sequence[str] = ("training", "reported"),
    solve: Solve | None = None,
    mean_std: str = "weights",
) -> Workload:
    """Return the work of `frozen_features` for each of these parts of the features, and of what follows."""
    images = dict(zip(("training", "reported"), split_sizes(sizes), strict=True))
    size = (resolution, resolution) if resolution else None
    return Workload(
        features=tuple(
            FeaturePasses(part, split, crop_pct, Passes(images[split], size, precision=precision), mean_std)
            for part in what
            for split in splits
        ),
        solve=solve,
    )
