"""NYUv2: depth RMSE of a fine-tuned backbone with a DPT head, through MMSegmentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from depth.nyuv2 import NYUSettings, build
from depth.panel import depth_panel
from mmseg_configs.runner import train_and_test
from umt.data.images import decode_rgb
from umt.training.engine import Place


def run(job: Job) -> Outcome:
    """Train on the training split, and test the weights that the protocol chooses on the test split."""
    settings: NYUSettings = job.settings
    train, test = job.dataset.samples("train"), job.dataset.samples("test")
    parts = build(settings, job.backbone, train, test, job.seed)
    values = train_and_test(parts, settings, Place(job.device, job.work_dir, job.seed, job.progress, job.wandb))
    raw = {name: np.array(image_values) for name, image_values in values.pop("images").items()}
    raw["image"] = np.array([sample.image.name for sample in test])
    shown = {Path(path): maps for path, maps in values.pop("pictures").items()}
    # only these images: all of them would be some 400 MB; half precision is within 4 mm at 10 m
    raw.update({f"prediction/{path.stem}": prediction.astype(np.float16) for path, (prediction, _) in shown.items()})
    details = {**parts.details, **({"best_step": values.pop("best_step")} if settings.best_on_test else {})}
    return Outcome(values, global_batch=settings.batch, details=details, raw=raw, pictures=panels(shown))


def panels(shown: Mapping[Path, np.ndarray]) -> dict[str, np.ndarray]:
    """Draw a panel of each image with its prediction and truth [2, H, W], by the name of the image."""
    images = {path: np.asarray(decode_rgb(path)) for path in shown}
    return {path.stem: depth_panel(images[path], *maps) for path, maps in shown.items()}


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
    spreads=True,
)
