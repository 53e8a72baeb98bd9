"""Image-text retrieval: images and their captions look for each other in the space of an open_clip model.

Recalls are those of CLIP_benchmark: the share of captions whose image is among the first (`image_recall_at_K`), and of
images of which some caption is (`text_recall_at_K`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload
from benchmarks.tasks.zeroshot import language_of
from umt.backbones.adapters.open_clip_text import text_directions

QUERIES = 1024  # that look at a time: 25,000 captions take 100 MB of similarities
RECALLS = (1, 5, 10)


@dataclass(frozen=True)
class CaptionSettings:
    """Everything that changes the number."""

    resolution: int | None  # pixels; null for the size of the weights
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    precision: str = "fp32"  # precision of the image features; "bf16", or "auto" for bf16 if the device is faster in it


def run(job: Job[CaptionSettings]) -> Outcome:
    """Rank captions for each image and images for each caption by cosine similarity."""
    settings = job.settings
    language = language_of(job.backbone)
    captions = job.dataset.captions
    texts = text_directions(language, [text for group in captions for text in group], job.device, job.progress)
    owners = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
    samples = [replace(sample, target=0) for sample in job.dataset.reported_samples]
    resolution = settings.resolution or job.backbone.preprocess.size
    features, _ = frozen_features(job, samples, resolution, settings.crop_pct, settings.precision)
    images = F.normalize(torch.from_numpy(np.ascontiguousarray(features)).to(job.device), dim=1)
    values = caption_recalls(images, texts, torch.from_numpy(owners).to(job.device))
    return Outcome(
        metrics={name: float(recalls.mean()) for name, recalls in values.items()},
        details={"language": language, "captions": len(texts)},
        raw=values,
    )


def caption_recalls(images: Tensor, texts: Tensor, owners: Tensor) -> dict[str, np.ndarray]:
    """Return the recalls of each image [N] in percent, by the names of the metrics.

    images [N, D], texts [T, D]: unit vectors. owners [T]: the image of each text. That of images is a mean over texts:
    an image stands for its own texts that find it, times N / T, so that the mean over images is that over texts.
    """
    positions = torch.arange(len(images), device=images.device)
    image_hits = _nearest(texts, images) == owners[:, None]
    text_hits = owners[_nearest(images, texts)] == positions[:, None]
    recalls = {}
    for k in RECALLS:
        hits = torch.zeros(len(images), dtype=torch.float64, device=images.device)
        hits.index_add_(0, owners, image_hits[:, :k].any(dim=1).double())
        recalls[f"image_recall_at_{k}"] = 100 * hits * len(images) / len(texts)
        recalls[f"text_recall_at_{k}"] = 100 * text_hits[:, :k].any(dim=1).double()
    return {name: values.cpu().numpy() for name, values in recalls.items()}


def _nearest(queries: Tensor, gallery: Tensor) -> Tensor:
    """Return the positions [Q, k] of what is most similar to each query, the most similar first."""
    count = min(max(RECALLS), len(gallery))
    return torch.cat([(part @ gallery.T).topk(count, dim=1).indices for part in queries.split(QUERIES)])


def workload(settings: CaptionSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of the images; the captions take a moment."""
    return frozen_work(sizes, settings.resolution, settings.crop_pct, settings.precision, splits=("reported",))


TASK = Task(
    name="captions",
    about="images and their captions by cosine similarity, in the space of an open_clip model",
    settings=CaptionSettings,
    metrics=tuple(Metric(f"{side}_recall_at_{k}", "%") for side in ("image", "text") for k in RECALLS),
    run=run,
    kinds=("captions",),
    workload=workload,
    trains=False,
    seeded=False,
)
