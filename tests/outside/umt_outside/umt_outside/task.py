"""Image retrieval: whether the most similar other image is of the same class."""

from dataclasses import dataclass

import numpy as np

from benchmarks.tasks.accuracy import top1
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features


@dataclass(frozen=True)
class RetrievalSettings:
    """Everything that changes the number."""

    resolution: int  # pixels


def run(job: Job) -> Outcome:
    """Each test image looks for its nearest neighbour, by cosine similarity, among the others."""
    settings: RetrievalSettings = job.settings
    features, labels = frozen_features(job, job.dataset.reported_samples, settings.resolution, crop_pct=1.0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    return Outcome({"precision_at_1": top1(labels[similarities.argmax(axis=1)], labels)})


TASK = Task(
    name="retrieval",
    about="precision of the most similar test image",
    settings=RetrievalSettings,
    metrics=(Metric("precision_at_1", "%"),),
    run=run,
    seeded=False,
)
