"""ADE20K: mIoU of a linear head on frozen features, through MMSegmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from mmseg_configs.ade20k import ADE20KSettings, build
from mmseg_configs.panel import segmentation_panel
from mmseg_configs.runner import Parts, train_and_test
from umt.data.images import decode_rgb
from umt.training.engine import Place

PICTURED = 4  # test images, evenly spaced


def run(job: Job) -> Outcome:
    """Train the head on the training split, and test the weights that the protocol chooses on the validation split."""
    settings: ADE20KSettings = job.settings
    samples = job.dataset.samples
    parts = build(settings, job.backbone, samples("training"), samples("validation"), job.seed)
    values = train_and_test(parts, settings, Place(job.device, job.work_dir, job.seed, job.progress, job.wandb))
    names = parts.test_set.metainfo["classes"]
    details = {
        **parts.details,
        "class_iou": dict(zip(names, values.pop("class_iou"), strict=True)),
        **({"best_step": values.pop("best_step")} if settings.best_on_test else {}),
    }
    return Outcome(values, global_batch=settings.batch, details=details, pictures=pictures(parts))


@torch.no_grad()
def pictures(parts: Parts) -> dict[str, np.ndarray]:
    """Draw a panel of each of a few test images, by the name of the image."""
    dataset, model = parts.test_set, parts.model.eval()
    panels = {}
    for index in range(0, len(dataset), max(1, len(dataset) // PICTURED))[:PICTURED]:
        item: dict[str, Any] = dataset[index]
        [sample] = model.test_step({name: [value] for name, value in item.items()})
        path = Path(sample.img_path)
        prediction, truth = (part.data.squeeze().cpu().numpy() for part in (sample.pred_sem_seg, sample.gt_sem_seg))
        image = np.asarray(decode_rgb(path))
        panels[path.stem] = segmentation_panel(
            image, prediction, truth, dataset.metainfo["classes"], dataset.metainfo["palette"]
        )
    return panels


TASK = Task(
    name="ade20k_linear",
    about="linear segmentation head on the last frozen map",
    settings=ADE20KSettings,
    datasets=("ade20k",),
    metrics=(Metric("miou", "%"), Metric("macc", "%"), Metric("aacc", "%")),
    run=run,
    spreads=True,
)
