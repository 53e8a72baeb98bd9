"""ADE20K: mIoU of a linear head on frozen features, through MMSegmentation."""

from __future__ import annotations

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from mmseg_configs.ade20k import ADE20KSettings, build
from mmseg_configs.runner import train_and_test
from umt.training.engine import Place


def run(job: Job) -> Outcome:
    """Train the head on the training split, and test its last weights on the validation split."""
    settings: ADE20KSettings = job.settings
    samples = job.dataset.samples
    parts = build(settings, job.backbone, samples("training"), samples("validation"), job.seed)
    values = train_and_test(parts, settings, Place(job.device, job.work_dir, job.seed, job.progress))
    details = {"class_iou": values.pop("class_iou"), **parts.details}
    return Outcome(values, global_batch=settings.batch, details=details)


TASK = Task(
    name="ade20k_linear",
    about="linear segmentation head on the last frozen map",
    settings=ADE20KSettings,
    datasets=("ade20k",),
    metrics=(Metric("miou", "%"), Metric("macc", "%"), Metric("aacc", "%")),
    run=run,
)
