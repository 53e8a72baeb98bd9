"""Robustness to corruptions: the mean corruption error of the linear ImageNet head that `robustness` keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.dinov2_linear import workload
from benchmarks.tasks.frozen import frozen_parts
from benchmarks.tasks.robustness import RobustnessSettings, kept_head
from umt.data.contract import Dataset
from umt.errors import LayoutError

ALEXNET = {  # mean error over the severities, as the authors of ImageNet-C publish it
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
METRICS = (Metric("mce", "%", higher_is_better=False), Metric("top1", "%"))
WHOLE_IMAGE = 1.0  # share of the shorter side: ImageNet-C is cropped already


def run(job: Job[RobustnessSettings]) -> Outcome:
    """Score the images of every corruption and severity, and compare the errors with AlexNet's."""
    corruptions = corruptions_of(job.dataset)
    head = kept_head(job)
    samples = job.dataset.reported_samples
    parts, labels = frozen_parts(job, samples, job.settings.resolution, WHOLE_IMAGE, what=head.parts)
    return corruption_outcome(corruptions, head.scores(parts).argmax(axis=1) == labels, head.details)


def corruption_outcome(corruptions: np.ndarray, right: np.ndarray, details: Mapping[str, Any]) -> Outcome:
    """Return the errors of predictions that are right or not [N], and the value of each image."""
    errors = {name: 1 - float(right[corruptions == name].mean()) for name in ALEXNET}
    return Outcome(
        metrics={"mce": mean_corruption_error(errors), "top1": 100 * float(right.mean())},
        details={**details, "error_by_corruption": {name: 100 * error for name, error in errors.items()}},
        raw={"top1": 100 * right.astype(np.float64)},
    )


def mean_corruption_error(errors: Mapping[str, float]) -> float:
    """Compute the mean over corruptions of the error, averaged over severities, over AlexNet's, in percent."""
    return 100 * float(np.mean([errors[name] / alexnet for name, alexnet in ALEXNET.items()]))


def corruptions_of(dataset: Dataset) -> np.ndarray:
    """Return the corruption of each reported image, which is the first folder of its path; UMTError if one is missing.

    The severities of a corruption have as many images each, so that the mean over images is that over severities.
    """
    names = np.array([sample.image.relative_to(dataset.root).parts[0] for sample in dataset.reported_samples])
    missing: Sequence[str] = sorted(ALEXNET.keys() - set(names.tolist()))
    if missing:
        raise LayoutError(f"{dataset.root}: no images of {missing[0]}, which mCE needs; take data set imagenet_c")
    return names


TASK = Task(
    name="corruption",
    about="mean corruption error of a linear ImageNet head",
    settings=RobustnessSettings,
    metrics=METRICS,
    run=run,
    workload=workload,  # of the head, which the jobs of a backbone share, and the passes of the reported images
)
