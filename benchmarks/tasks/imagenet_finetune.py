"""ImageNet-1k, fine-tuned: top-1 accuracy on the validation set (paper, appendix A.1)."""

from __future__ import annotations

from mmengine.dist import get_dist_info

from benchmarks.tasks.accuracy import top1, top_k
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.finetuning import FinetuneSettings, finetune, finetuning_work
from benchmarks.tasks.kept_models import keep_model, model_path


def run(job: Job[FinetuneSettings]) -> Outcome:
    """Fine-tune on the training set, report on the validation set; the model is kept for `robustness_finetuned`."""
    path = model_path(job)
    finetuned = finetune(job)
    if path is not None and get_dist_info()[0] == 0:
        keep_model(finetuned.model, path)
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
