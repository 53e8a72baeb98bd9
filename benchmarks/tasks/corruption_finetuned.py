"""Robustness to corruptions of a fine-tuned ImageNet classifier: mCE of the model that `imagenet_finetune` keeps."""

from __future__ import annotations

from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.corruption import METRICS, WHOLE_IMAGE, corruption_outcome, corruptions_of
from benchmarks.tasks.finetune_settings import FinetuneSettings
from benchmarks.tasks.robustness_finetuned import finetuned_scores, workload


def run(job: Job[FinetuneSettings]) -> Outcome:
    """Score the images of every corruption and severity by the fine-tuned model."""
    corruptions = corruptions_of(job.dataset)
    scores, labels = finetuned_scores(job, WHOLE_IMAGE)
    return corruption_outcome(corruptions, scores.argmax(axis=1) == labels, {})


TASK = Task(
    name="corruption_finetuned",
    about="mean corruption error of a fine-tuned ImageNet classifier",
    settings=FinetuneSettings,
    metrics=METRICS,
    run=run,
    workload=workload,
    reads_models=True,
)
