"""Aircraft, Caltech101 and CUB, fine-tuned: the fine-grained columns of Table 1."""

from __future__ import annotations

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.finetuning import FinetuneSettings, finetune, finetuning_work


def run(job: Job[FinetuneSettings]) -> Outcome:
    """Fine-tune on all training images (Aircraft: train and val), report on the test split."""
    finetuned = finetune(job)
    return Outcome(
        metrics=fine_grained(job.dataset.info.metric, finetuned.predictions, finetuned.labels),
        global_batch=job.settings.batch,
        details=finetuned.details,
        raw=finetuned.raw,
    )


TASK = Task(
    name="finegrained_finetune",
    about="fine-tuning of the whole backbone with a linear head on a fine-grained data set",
    settings=FinetuneSettings,
    metrics=FINE_GRAINED,
    run=run,
    workload=finetuning_work,
    spreads=True,
)
