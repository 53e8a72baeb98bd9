"""NYUv2: depth RMSE of a fine-tuned backbone with a DPT head, through MMSegmentation."""

from __future__ import annotations

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from depth.nyuv2 import NYUSettings, build
from mmseg_configs.runner import train_and_test
from umt.training.engine import Place


def run(job: Job) -> Outcome:
    """Train on the training split, and test the last weights on the test split."""
    settings: NYUSettings = job.settings
    train, test = job.dataset.samples("train"), job.dataset.samples("test")
    parts = build(settings, job.backbone, train, test, job.seed)
    values = train_and_test(parts, settings, Place(job.device, job.work_dir, job.seed, job.progress))
    raw = {name: np.array(image_values) for name, image_values in values.pop("images").items()}
    raw["image"] = np.array([sample.image.name for sample in test])
    return Outcome(values, global_batch=settings.batch, details=parts.details, raw=raw)


TASK = Task(
    name="nyuv2_depth",
    about="depth with a DPT head, backbone fine-tuned",
    settings=NYUSettings,
    datasets=("nyuv2",),
    metrics=(
        Metric("rmse", "m", higher_is_better=False),
        Metric("rmse_pooled", "m", higher_is_better=False),
        Metric("absrel", "", higher_is_better=False),
        Metric("delta1", ""),
        Metric("delta2", ""),
        Metric("delta3", ""),
        Metric("log10", "", higher_is_better=False),
        Metric("silog", "", higher_is_better=False),
    ),
    run=run,
)
