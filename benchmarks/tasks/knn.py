"""Weighted k-nearest neighbours on frozen features (Wu et al. 2018, as DINO evaluates)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.tasks.accuracy import mean_per_class, top1, top_k
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.splits import report_samples, training_samples

CHUNK = 256  # test images at a time: their similarities to all training images are in memory


@dataclass(frozen=True)
class KnnSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    k: int  # neighbours of the reported number
    other_k: tuple[int, ...]  # whose top-1 goes into the details
    temperature: float  # weight of a neighbour: exp(cosine similarity / temperature)


def run(job: Job) -> Outcome:
    """Vote of the k most similar training images; k is at most the number of training images."""
    settings: KnnSettings = job.settings
    train, labels = frozen_features(job, training_samples(job.dataset), settings.resolution, settings.crop_pct)
    test, answers = frozen_features(job, report_samples(job.dataset), settings.resolution, settings.crop_pct)
    wanted = sorted({settings.k, *settings.other_k})
    votes = knn_votes(train, labels, test, len(job.dataset.class_names), wanted, settings.temperature, job.device)
    scores = votes[settings.k]
    predictions = scores.argmax(axis=1)
    return Outcome(
        metrics={
            "top1": top1(predictions, answers),
            "top5": top_k(scores, answers, 5),
            "mean_per_class": mean_per_class(predictions, answers),
        },
        details={
            "top1_by_k": {str(k): top1(found.argmax(axis=1), answers) for k, found in votes.items()},
            "neighbours": {str(k): min(k, len(train)) for k in wanted},  # fewer than k where there are fewer images
        },
        raw={"predictions": predictions, "labels": answers},
    )


def knn_votes(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    classes: int,
    ks: Sequence[int],
    temperature: float,
    device: torch.device,
) -> dict[int, np.ndarray]:
    """Class scores [N, classes] of test features for each k, from training features [M, D] and labels [M].

    A training image votes for its class with exp(cosine / temperature) when it is among the k most similar ones.
    """
    known = F.normalize(torch.from_numpy(train).to(device), dim=1)
    targets = torch.from_numpy(labels).to(device)
    chunks = [
        _votes(F.normalize(chunk.to(device), dim=1) @ known.T, targets, classes, ks, temperature)
        for chunk in torch.from_numpy(test).split(CHUNK)
    ]
    return {k: torch.cat([chunk[k] for chunk in chunks]).numpy() for k in ks}


def _votes(
    similarities: Tensor, targets: Tensor, classes: int, ks: Sequence[int], temperature: float
) -> dict[int, Tensor]:
    nearest, indices = similarities.topk(min(max(ks), len(targets)), dim=1)
    weights = ((nearest - 1) / temperature).exp()  # relative to a similarity of 1, so that nothing overflows
    ballots = targets[indices]
    return {
        k: torch.zeros(len(nearest), classes, device=nearest.device)
        .scatter_add_(1, ballots[:, :k], weights[:, :k])
        .cpu()
        for k in ks
    }


TASK = Task(
    name="knn",
    about="weighted k-nearest neighbours on frozen pooled features, cosine similarity",
    settings=KnnSettings,
    datasets=("imagenet", "aircraft", "caltech101", "cub"),
    metrics=(Metric("top1", "%"), Metric("top5", "%"), Metric("mean_per_class", "%")),
    run=run,
    seeded=False,
)
