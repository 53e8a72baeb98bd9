"""Robustness of an ImageNet classifier: the linear head of DINOv2's evaluation on other images, or by other labels.

All variants of ImageNet share one head: it lies beside the cached features, so that only the first job trains it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.dinov2_linear import ChosenHead, HeadsSettings, chosen_head, workload
from benchmarks.tasks.frozen import frozen_parts
from umt.data.contract import Dataset
from umt.errors import DeclarationError
from umt.feature_cache.disk_cache import digest, locked
from umt.feature_cache.key import NAME_DIGITS, feature_key
from umt.features import Extraction
from umt.files import atomic_file, missing, open_plain

HEADS = "heads"  # folder of the cache


@dataclass(frozen=True)
class RobustnessSettings(HeadsSettings):
    """Everything that changes the number: the settings of `dinov2_linear`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.selection != "held_out":
            raise DeclarationError(f"selection is '{self.selection}'; robustness chooses its head on 'held_out' images")


def run(job: Job[RobustnessSettings]) -> Outcome:
    """Score the reported images, among the classes that are right for any: for ImageNet-A and -R their 200."""
    head = kept_head(job)
    samples = job.dataset.reported_samples
    view = (job.settings.resolution, job.settings.crop_pct)
    parts, labels = frozen_parts(job, samples, *view, what=head.parts)
    return scored_outcome(job.dataset, head.scores(parts), labels, head.details)


def scored_outcome(dataset: Dataset, scores: np.ndarray, labels: np.ndarray, details: Mapping[str, Any]) -> Outcome:
    """Return the accuracy of scores [N, C] of the reported images, and the value of each image."""
    answers = dataset.info.answers(dataset.reported_samples) if dataset.info.answers else None
    scored = np.unique([*labels, *(index for classes in answers or () for index in classes)])
    predictions = scored[scores[:, scored].argmax(axis=1)]
    values = 100 * _right(predictions, labels, answers)
    return Outcome(
        metrics={"top1": float(np.nanmean(values))},
        details={**details, "scored_classes": len(scored), "scored_images": int(np.isfinite(values).sum())},
        raw={"top1": values},
    )


def _right(predictions: np.ndarray, labels: np.ndarray, answers: Sequence[frozenset[int]] | None) -> np.ndarray:
    """Return 1 for a right prediction and 0 for a wrong one [N], not a number for an image without a right class."""
    if answers is None:
        return (predictions == labels).astype(np.float64)
    rights = [
        prediction in classes if classes else np.nan for prediction, classes in zip(predictions, answers, strict=True)
    ]
    return np.array(rights, dtype=np.float64)


def kept_head(job: Job[HeadsSettings]) -> ChosenHead:
    """Return the head of this backbone and these settings from the cache, or train it and keep it there."""
    if job.cache is None:
        return chosen_head(job)
    settings = job.settings
    extraction = Extraction(job.backbone.side(settings.resolution), settings.crop_pct, compiled=job.compiled)
    key = {
        "features": feature_key(job.backbone, job.dataset.training_samples, extraction, job.device),
        "settings": asdict(settings),
        "seed": job.seed,
    }
    path = job.cache / HEADS / f"{digest(key, NAME_DIGITS)}.npz"
    try:
        with locked(path.with_suffix(".lock"), "--cache"):
            if missing(path):
                _write(path, chosen_head(job))
    except Timeout:
        return chosen_head(job)
    return _read(path)


def _write(path: Path, head: ChosenHead) -> None:
    texts = json.dumps({"parts": head.parts, "details": head.details})
    with atomic_file(path) as file:
        np.savez(file, weights=head.weights, bias=head.bias, texts=np.array(texts))


def _read(path: Path) -> ChosenHead:
    with open_plain(path) as file, np.load(file, allow_pickle=False) as stored:
        texts = json.loads(str(stored["texts"]))
        return ChosenHead(tuple(texts["parts"]), stored["weights"], stored["bias"], texts["details"])


TASK = Task(
    name="robustness",
    about="a linear ImageNet head on other images, or by other labels",
    settings=RobustnessSettings,
    metrics=(Metric("top1", "%"),),
    run=run,
    workload=workload,  # of the head, which the jobs of a backbone share, and the passes of the reported images
)
