"""The nearest image: whether the most similar other image is of the same class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.tasks.accuracy import top1
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload


@dataclass(frozen=True)
class NearestSettings:
    """Everything that changes the number."""

    resolution: int  # pixels


def run(job: Job[NearestSettings]) -> Outcome:
    """Each test image looks for its nearest neighbour, by cosine similarity, among the others."""
    features, labels = frozen_features(job, job.dataset.reported_samples, job.settings.resolution, crop_pct=1.0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    return Outcome({"precision_at_1": top1(labels[similarities.argmax(axis=1)], labels)})


def workload(settings: NearestSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of the reported images."""
    return frozen_work(sizes, settings.resolution, crop_pct=1.0, splits=("reported",))


TASK = Task(
    name="nearest",
    about="precision of the most similar test image",
    settings=NearestSettings,
    metrics=(Metric("precision_at_1", "%"),),
    run=run,
    workload=workload,
    seeded=False,
)
