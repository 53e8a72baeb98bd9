"""Few-shot classification on frozen features: the nearest class mean of centred, normalised features.

That rule (SimpleShot's CL2N, Wang et al. 2019) has nothing to choose; logistic regression would need a penalty and, at
one image a class, has no image left to choose it on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload


@dataclass(frozen=True)
class FewShotSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    shots: int  # training images a class of the reported number
    other_shots: tuple[int, ...]  # more numbers of images, whose accuracies go into the details
    draws: int  # draws of training images, whose accuracies are averaged


def run(job: Job[FewShotSettings]) -> Outcome:
    """Return the mean over the draws; a draw of more images holds those of fewer, a small class gives all it has."""
    settings = job.settings
    view = (settings.resolution, settings.crop_pct)
    train, labels = frozen_features(job, job.dataset.training_samples, *view)
    test, answers = frozen_features(job, job.dataset.reported_samples, *view)
    wanted = sorted({settings.shots, *settings.other_shots})
    scores: dict[int, list[dict[str, float]]] = {shots: [] for shots in wanted}
    rng = np.random.default_rng(job.seed)
    for draw in range(settings.draws):
        rank = _ranks(labels, rng)
        for shots in wanted:
            known = rank < shots
            predictions = nearest_mean(train[known], labels[known], test)
            scores[shots].append(fine_grained(job.dataset.info.metric, predictions, answers))
        job.progress(draw + 1, settings.draws, f"draw {draw + 1}/{settings.draws}")
    reported = scores[settings.shots]
    return Outcome(
        metrics={name: float(np.mean([found[name] for found in reported])) for name in reported[0]},
        details={
            "accuracy_by_shots": {str(shots): [found["accuracy"] for found in scores[shots]] for shots in wanted},
            "fewest_images_of_a_class": min(Counter(labels.tolist()).values()),
        },
    )


def _ranks(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the place [N] of each image in a random order of its class, from 0."""
    ranks = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        ranks[where] = rng.permutation(len(where))
    return ranks


def nearest_mean(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the label [M] of test features [M, D] by the nearest mean of training features [N, D] with labels [N].

    Features are taken relative to the training mean and brought to length 1 before class means are formed.
    """
    centre = train.mean(axis=0)
    known, queries = _unit(train - centre), _unit(test - centre)
    classes = np.unique(labels)
    means = np.stack([known[labels == label].mean(axis=0) for label in classes])
    distances = np.square(means).sum(axis=1) - 2 * queries @ means.T  # without the query's own length, which is 1
    found: np.ndarray = classes[distances.argmin(axis=1)]
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; a row of zeros stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return scaled


def workload(settings: FewShotSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of all images."""
    return frozen_work(sizes, settings.resolution, settings.crop_pct)


TASK = Task(
    name="fewshot",
    about="nearest class mean on frozen pooled features from a few images a class",
    settings=FewShotSettings,
    metrics=FINE_GRAINED,
    run=run,
    workload=workload,
)
