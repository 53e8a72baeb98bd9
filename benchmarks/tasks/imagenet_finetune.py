"""ImageNet-1k, fine-tuned: top-1 accuracy on the validation set (paper, appendix A.1)."""

from __future__ import annotations

from benchmarks.tasks.accuracy import top1, top_k
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.finetuning import FinetuneSettings, finetune, finetuning_work


def run(job: Job[FinetuneSettings]) -> Outcome:
    """Fine-tune on the training set, report on the validation set."""
    finetuned = finetune(job)
    return Outcome(
        metrics={
            "top1": top1(finetuned.predictions, finetuned.labels),
            "top5": top_k(finetuned.scores, finetuned.labels, 5),
        },
        global_batch=job.settings.batch,
        details=finetuned.details,
        raw=finetuned.raw,
    )


TASK = Task(
    name="imagenet_finetune",
    about="fine-tuning of the whole backbone with a linear head on ImageNet-1k",
    settings=FinetuneSettings,
    metrics=(Metric("top1", "%"), Metric("top5", "%")),
    run=run,
    workload=finetuning_work,
    spreads=True,
)
