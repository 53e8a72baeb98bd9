"""Weighted k-nearest neighbours on frozen features (Wu et al. 2018, as DINO evaluates)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.tasks.accuracy import CLASSES, of_classes, top1
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload, split_sizes

TEST_ROWS, TRAIN_ROWS = 1024, 32_416  # images at a time; rows of 2^15 similarities would share lines of the caches
UNIT_ROWS = 1024  # features that are normalised at a time, in the caches
GROUP = 32  # training images whose most similar one is looked at first
RANK_ROWS = 25_600  # training images whose features are ranked, as many as RankMe's authors take
RANK_EPSILON = 1e-7  # of RankMe's formula
RANKS = (Metric("rankme", ""), Metric("effective_rank", ""))


@dataclass(frozen=True)
class KnnSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    k: int  # neighbours of the reported number
    other_k: tuple[int, ...]  # more numbers of neighbours, whose top-1 goes into the details
    temperature: float  # weight of a neighbour: exp(cosine similarity / temperature)
    precision: str = "fp32"  # precision of the features; "bf16", or "auto" for bf16 if the device is faster in it


def run(job: Job[KnnSettings]) -> Outcome:
    """Classify by vote of the k most similar training images; k is at most the number of training images."""
    settings = job.settings
    view = (settings.resolution, settings.crop_pct, settings.precision)
    train, labels = frozen_features(job, job.dataset.training_samples, *view)
    test, answers = frozen_features(job, job.dataset.reported_samples, *view)
    all_k = sorted({settings.k, *settings.other_k})
    votes = knn_votes(train, labels, test, len(job.dataset.class_names), all_k, settings.temperature, job.device)
    scores = votes[settings.k]
    predictions = scores.argmax(axis=1)
    return Outcome(
        metrics={**of_classes(scores, answers), **ranks(train)},
        details={
            "top1_by_k": {str(k): top1(class_votes.argmax(axis=1), answers) for k, class_votes in votes.items()},
            "neighbours": {str(k): min(k, len(train)) for k in all_k},  # fewer than k if there are fewer images
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
    """Compute class scores [N, classes] of test features for each k, from training features [M, D] and labels [M].

    A training image votes for its class with exp(cosine / temperature) if it is among the k most similar ones. Training
    features are read once, block by block, so that they need not fit into memory.
    """
    queries = F.normalize(torch.from_numpy(test).to(device), dim=1).split(TEST_ROWS)
    nearest = [Neighbours.none(len(chunk), device) for chunk in queries]
    blocks = torch.from_numpy(train).split(TRAIN_ROWS)
    unit = queries[0].new_empty(len(blocks[0]), train.shape[1])
    products = unit.new_empty(len(queries[0]) * len(unit))
    for block, targets in zip(blocks, torch.from_numpy(labels).to(device).split(TRAIN_ROWS), strict=True):
        known = _normalise(block.to(device), out=unit[: len(block)])
        for index, chunk in enumerate(queries):
            similarities = products[: len(chunk) * len(known)].view(len(chunk), len(known))
            torch.mm(chunk, known.T, out=similarities)
            nearest[index] = nearest[index].joined(similarities, targets, max(ks))
    return {
        k: torch.cat([neighbours.votes(k, classes, temperature) for neighbours in nearest]).cpu().numpy() for k in ks
    }


def nearest_columns(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest values of each row of [N, M], or all M, and their columns, the largest first.

    All of them are in the k groups of columns with the largest maxima, but for columns of the same value.
    """
    columns = similarities.shape[1]
    if columns % GROUP or columns // GROUP <= k:
        return similarities.topk(min(k, columns), dim=1)
    groups = similarities.unflatten(1, (-1, GROUP))
    largest = groups.amax(dim=2).topk(k, dim=1).indices
    values, places = groups.gather(1, largest[..., None].expand(-1, -1, GROUP)).flatten(1).topk(k, dim=1)
    return values, largest.gather(1, places // GROUP) * GROUP + places % GROUP


def _normalise(rows: Tensor, out: Tensor) -> Tensor:
    for piece, into in zip(rows.split(UNIT_ROWS), out.split(UNIT_ROWS), strict=True):
        F.normalize(piece, dim=1, out=into)
    return out


def ranks(features: np.ndarray) -> dict[str, float]:
    """Compute RankMe (Garrido et al. 2023) and the effective rank (Roy and Vetterli 2007) of features [N, D].

    Both are the exponential of the entropy of normalised singular values: RankMe of the features as they are, the
    effective rank of centred ones, so that a direction that all images share does not count. Of more than 25,600
    images, so many at equal distances are taken.
    """
    count = min(len(features), RANK_ROWS)
    rows = features[np.linspace(0, len(features) - 1, count).astype(int)].astype(np.float64)
    return {"rankme": _rank(rows, RANK_EPSILON), "effective_rank": _rank(rows - rows.mean(axis=0), 0.0)}


def _rank(rows: np.ndarray, epsilon: float) -> float:
    """Return the exponential of the entropy of the singular values, which are roots of the eigenvalues of R^T R."""
    squares = np.linalg.eigvalsh(rows.T @ rows if len(rows) >= rows.shape[1] else rows @ rows.T)
    squares[squares < squares.max() * max(rows.shape) * np.finfo(np.float64).eps] = 0  # rounding, no direction
    values = np.sqrt(squares)
    shares = values / max(values.sum(), np.finfo(np.float64).tiny) + epsilon
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


@dataclass(frozen=True)
class Neighbours:
    """The most similar training images of test images so far: similarities and classes [N, k], the nearest first."""

    similarities: Tensor
    classes: Tensor

    @classmethod
    def none(cls, images: int, device: torch.device) -> Neighbours:
        return cls(torch.empty(images, 0, device=device), torch.empty(images, 0, dtype=torch.int64, device=device))

    def joined(self, similarities: Tensor, targets: Tensor, k: int) -> Neighbours:
        """Return the nearest k among these and a block of M more: similarities [N, M], classes [M]."""
        values, indices = nearest_columns(similarities, k)
        values = torch.cat([self.similarities, values], dim=1)
        classes = torch.cat([self.classes, targets[indices]], dim=1)
        values, indices = values.topk(min(k, values.shape[1]), dim=1)
        return Neighbours(values, classes.gather(1, indices))

    def votes(self, k: int, classes: int, temperature: float) -> Tensor:
        """Return scores [N, classes] of the first k."""
        weights = ((self.similarities[:, :k] - 1) / temperature).exp()  # relative to 1, so that nothing overflows
        scores = torch.zeros(len(weights), classes, device=weights.device)
        return scores.scatter_add_(1, self.classes[:, :k], weights)


def workload(settings: KnnSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of all images, and the similarities of each reported one to those that vote."""
    training, reported = split_sizes(sizes)

    def solve(width: int, classes: int) -> float:
        return float(training) * reported * width

    return frozen_work(sizes, settings.resolution, settings.crop_pct, settings.precision, solve=solve)


TASK = Task(
    name="knn",
    about="weighted k-nearest neighbours on frozen pooled features, cosine similarity",
    settings=KnnSettings,
    metrics=(*CLASSES, *RANKS),
    run=run,
    workload=workload,
    seeded=False,
)
