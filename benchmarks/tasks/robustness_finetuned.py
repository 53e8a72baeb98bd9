"""Robustness of a fine-tuned ImageNet classifier: the model that `imagenet_finetune` keeps, on other images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.finetune_settings import FinetuneSettings
from benchmarks.tasks.kept_models import read_model
from benchmarks.tasks.robustness import scored_outcome
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from umt.features import eval_images, run_over


def run(job: Job[FinetuneSettings]) -> Outcome:
    """Score the reported images as `robustness` does, by the logits of the fine-tuned model."""
    scores, labels = finetuned_scores(job, job.settings.crop_pct)
    return scored_outcome(job.dataset, scores, labels, {})


def finetuned_scores(job: Job[FinetuneSettings], crop_pct: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits [N, C] of the reported images by the fine-tuned model, and their labels [N]."""
    model = read_model(job)
    resolution = job.backbone.side(job.settings.resolution)
    images = eval_images(job.dataset.reported_samples, job.backbone.preprocess, resolution, crop_pct)
    scores = run_over(images, model.logits, job.device, job.settings.device_batch, job.progress)
    return scores.numpy(), images.labels


def workload(settings: FinetuneSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the passes of the reported images."""
    _, reported = split_sizes(sizes)
    return Workload(tested=Passes(reported, (settings.resolution, settings.resolution)))


TASK = Task(
    name="robustness_finetuned",
    about="a fine-tuned ImageNet classifier on other images, or by other labels",
    settings=FinetuneSettings,
    metrics=(Metric("top1", "%"),),
    run=run,
    workload=workload,
    reads_models=True,
)
