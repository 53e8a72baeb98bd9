"""Retrieval of landmarks, evaluated as Revisiting Oxford and Paris does it (Radenovic et al. 2018).

Medium counts the easy and the hard views of a landmark, hard the hard ones alone; junk, and easy views in hard, are
taken out of a ranking before it is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload, split_sizes
from umt.data.contract import Sample
from umt.data.sets.landmarks import Judgement, ground_truth
from umt.errors import unknown_name

SETUPS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # kinds of views that are right, and left out
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
CUTS = (1, 5, 10)  # of the precision among the first
QUERIES = ("box", "image")


@dataclass(frozen=True)
class LandmarkSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    query: str  # the part of its image that a query is: the "box" around the landmark, or all of the "image"
    precision: str = "fp32"  # precision of the features; "bf16", or "auto" for bf16 if the device is faster in it

    def __post_init__(self) -> None:
        if self.query not in QUERIES:
            raise unknown_name("query", self.query, QUERIES)


def run(job: Job[LandmarkSettings]) -> Outcome:
    """Rank the gallery by cosine similarity to each query; a query without a right image counts nowhere."""
    gallery = job.dataset.training_samples
    _, truth = ground_truth(job.dataset.info.base, job.dataset.root)
    similarities = _unit(job, _queries(job)) @ _unit(job, gallery).T
    order = similarities.argsort(dim=1, descending=True, stable=True).cpu().numpy()
    values = landmark_scores(order, truth.gnd)
    return Outcome(
        metrics={name: float(np.nanmean(scores)) for name, scores in values.items()},
        details={"queries": len(order), "gallery": len(gallery)},
        raw=values,
    )


def _queries(job: Job[LandmarkSettings]) -> list[Sample]:
    """Return the queries with a class, which features ask for, and with the box that the settings want."""
    boxed = job.settings.query == "box"
    return [replace(query, target=0, box=query.box if boxed else None) for query in job.dataset.reported_samples]


def _unit(job: Job[LandmarkSettings], samples: Sequence[Sample]) -> torch.Tensor:
    settings = job.settings
    features, _ = frozen_features(job, samples, settings.resolution, settings.crop_pct, settings.precision)
    return F.normalize(torch.from_numpy(np.ascontiguousarray(features)).to(job.device), dim=1)


def landmark_scores(order: np.ndarray, judgements: Sequence[Judgement]) -> dict[str, np.ndarray]:
    """Return the scores [Q] in percent, not a number for a query without a right image, by the names of the metrics.

    order [Q, N]: gallery images of each query, the most similar first.
    """
    scores: dict[str, np.ndarray] = {}
    for setup, (right, left_out) in SETUPS.items():
        rows = [
            _scores_of(ranking, *(_images(judgement, kinds) for kinds in (right, left_out)))
            for ranking, judgement in zip(order, judgements, strict=True)
        ]
        scores |= dict(zip(_names(setup), 100 * np.array(rows).T, strict=True))
    return scores


def _names(setup: str) -> list[str]:
    return [f"map_{setup}", *(f"precision_at_{cut}_{setup}" for cut in CUTS)]


def _images(judgement: Judgement, kinds: Sequence[str]) -> np.ndarray:
    return np.array([image for kind in kinds for image in getattr(judgement, kind)], dtype=np.int64)


def _scores_of(ranking: np.ndarray, right: np.ndarray, left_out: np.ndarray) -> list[float]:
    """Return average precision and the precisions among the first of one ranking, as the authors' code defines them.

    The area below the curve of precision is that of trapezoids. Precision among the first k is that among the first
    images up to the last right one if these are fewer than k.
    """
    if not len(right):
        return [np.nan] * (1 + len(CUTS))
    ranks = np.flatnonzero(np.isin(ranking[~np.isin(ranking, left_out)], right))
    hits = np.arange(len(ranks))
    before = np.divide(hits, ranks, out=np.ones(len(ranks)), where=ranks > 0)
    trapezoids = (before + (hits + 1) / (ranks + 1)) * (1 / len(right)) / 2
    cuts = [min(int(ranks[-1]) + 1, cut) for cut in CUTS]
    return [np.cumsum(trapezoids)[-1], *((ranks < cut).sum() / cut for cut in cuts)]


def workload(settings: LandmarkSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of gallery and queries, and the similarities between them."""
    gallery, queries = split_sizes(sizes)

    def solve(width: int, classes: int) -> float:
        return float(gallery) * queries * width

    return frozen_work(sizes, settings.resolution, settings.crop_pct, settings.precision, solve=solve)


TASK = Task(
    name="landmarks",
    about="photographs of the same landmark by cosine similarity of frozen pooled features",
    settings=LandmarkSettings,
    metrics=tuple(Metric(name, "%") for setup in SETUPS for name in _names(setup)),
    run=run,
    kinds=("landmarks",),
    workload=workload,
    seeded=False,
)
