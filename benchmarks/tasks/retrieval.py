"""Image retrieval among labelled images: every reported image looks for the others of its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload, split_sizes
from umt.errors import TooFewError

QUERIES = 256  # images that look at a time: 50,000 others take 50 MiB of similarities
RECALLS = (1, 5, 10)


@dataclass(frozen=True)
class RetrievalSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    precision: str = "fp32"  # precision of the features; "bf16", or "auto" for bf16 if the device is faster in it


def run(job: Job[RetrievalSettings]) -> Outcome:
    """Rank the other reported images by cosine similarity; an image that is alone in its class only stands by."""
    settings = job.settings
    view = (settings.resolution, settings.crop_pct, settings.precision)
    features, labels = frozen_features(job, job.dataset.reported_samples, *view)
    scores = retrieval_scores(features, labels, job.device)
    queries = int(np.isfinite(scores["map"]).sum())
    if not queries:
        raise TooFewError(f"{job.dataset.root}: no class has two reported images, so that none can be found; add some")
    return Outcome(
        metrics={name: float(np.nanmean(values)) for name, values in scores.items()},
        details={"queries": queries, "gallery": len(labels), "feature_width": features.shape[1]},
        raw={**scores, "labels": labels},
    )


def retrieval_scores(features: np.ndarray, labels: np.ndarray, device: torch.device) -> dict[str, np.ndarray]:
    """Return `map` and `recall_at_K` [N] of each image in percent, not a number for one that is alone in its class.

    features: [N, D]. Average precision is the mean of the precision at the rank of each image of the class; recall at
    K is 100 if one of them is among the first K. Of equally similar images the earlier one comes first.
    """
    unit = F.normalize(torch.from_numpy(np.ascontiguousarray(features)).to(device), dim=1)
    targets = torch.from_numpy(labels).to(device)
    parts = []
    for rows in torch.arange(len(labels), device=device).split(QUERIES):
        similarities = unit[rows] @ unit.T
        similarities[torch.arange(len(rows), device=device), rows] = torch.inf  # itself comes first, and is left out
        order = similarities.argsort(dim=1, descending=True, stable=True)[:, 1:]
        parts.append(_scores_of(targets[order] == targets[rows, None]))
    columns = torch.cat(parts).cpu().numpy().T
    return dict(zip(("map", *(f"recall_at_{k}" for k in RECALLS)), columns, strict=True))


def _scores_of(hits: Tensor) -> Tensor:
    """Return average precision and recalls [Q, 1 + K] in percent of ranked hits [Q, N]."""
    counts = hits.cumsum(dim=1)
    precision = counts / torch.arange(1, hits.shape[1] + 1, device=hits.device, dtype=torch.float64)
    total = counts[:, -1].double()
    average = (precision * hits).sum(dim=1) / total  # 0 / 0 without a hit
    recalls = [torch.where(total > 0, hits[:, :k].any(dim=1).double(), torch.nan) for k in RECALLS]
    return 100 * torch.stack([average, *recalls], dim=1)


def workload(settings: RetrievalSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of the reported images, and the similarities of each to the others."""
    _, reported = split_sizes(sizes)

    def solve(width: int, classes: int) -> float:
        return float(reported) ** 2 * width

    view = (settings.resolution, settings.crop_pct, settings.precision)
    return frozen_work(sizes, *view, splits=("reported",), solve=solve)


TASK = Task(
    name="retrieval",
    about="images of the same class by cosine similarity of frozen pooled features",
    settings=RetrievalSettings,
    metrics=(Metric("map", "%"), *(Metric(f"recall_at_{k}", "%") for k in RECALLS)),
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
