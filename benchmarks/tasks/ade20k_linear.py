"""ADE20K: mIoU of a linear head on frozen features, through MMSegmentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.items import areas_of
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from mmseg_configs.ade20k import ADE20KSettings, build, build_model
from mmseg_configs.fused.map import warm_up
from mmseg_configs.fused.resampling import window_starts
from mmseg_configs.runner import Parts, dense_forward, train_and_test
from umt.data.images import decode_rgb
from umt.panels import Panel, panel_details, pictured
from umt.panels.segmentation import TILES, segmentation_panel
from umt.training.engine import RunContext

PHOTOGRAPH = 4 / 3  # width over height of test images, whose sizes no protocol declares


def run(job: Job[ADE20KSettings]) -> Outcome:
    """Train the head on the training split, and test the weights that the protocol chooses on the validation split."""
    settings = job.settings
    train, test = job.dataset.training_samples, job.dataset.reported_samples
    parts = build(settings, job.backbone, train, test, job.seed, job.dataset.mask_names, job.dataset.info.pixel_labels)
    values = train_and_test(parts, settings, RunContext(job.device, job.work_dir, job.seed, job.progress, job.wandb))
    names, pictures_by_name = parts.test_set.metainfo["classes"], pictures(parts)
    details = {
        **parts.details,
        "class_iou": dict(zip(names, values.pop("class_iou"), strict=True)),
        **({"best_step": values.pop("best_step")} if settings.best_on_test else {}),
        **panel_details(TILES, pictures_by_name),
    }
    raw = {"areas": areas_of(values.pop("areas"))}
    pixels = {name: panel.pixels for name, panel in pictures_by_name.items()}
    return Outcome(values, global_batch=settings.batch, details=details, raw=raw, pictures=pixels)


@torch.no_grad()
def pictures(parts: Parts) -> dict[str, Panel]:
    """Draw a panel of each of a few test images, by the name of the image."""
    dataset, model = parts.test_set, parts.model.eval()
    panels = {}
    for index in pictured(len(dataset)):
        item: dict[str, Any] = dataset[index]
        [sample] = model.test_step({name: [value] for name, value in item.items()})
        path = Path(sample.img_path)
        prediction, truth = (part.data.squeeze().cpu().numpy() for part in (sample.pred_sem_seg, sample.gt_sem_seg))
        image = np.asarray(decode_rgb(path))
        panels[path.stem] = segmentation_panel(image, prediction, truth, dataset.metainfo["classes"])
    return panels


def workload(settings: ADE20KSettings, sizes: Mapping[str, int]) -> Workload:
    """Count training crops through the frozen backbone, and test images of 4:3 whole or in windows."""
    _, reported = split_sizes(sizes)
    side = settings.padded_crop or settings.crop
    return Workload(
        trained=Passes(settings.iterations * settings.batch, (side, side), precision=settings.precision),
        tested=_tested(settings, settings.tests * reported),
        frozen=True,
        network=lambda backbone: dense_forward(lambda: build_model(settings, backbone)),
    )


def _tested(settings: ADE20KSettings, images: int) -> Passes:
    height = min(settings.scale)
    width = round(height * PHOTOGRAPH)
    if settings.test_mode == "whole":
        return Passes(images, (height, width))
    window, stride = settings.test_window, settings.test_stride
    windows = [len(window_starts(window, stride, side)) for side in (height, width)]
    return Passes(images, (min(window, height), min(window, width)), each=windows[0] * windows[1])


TASK = Task(
    name="ade20k_linear",
    about="linear segmentation head on the last frozen map",
    settings=ADE20KSettings,
    kinds=("segmentation",),
    metrics=(Metric("miou", "%"), Metric("macc", "%"), Metric("aacc", "%")),
    run=run,
    workload=workload,
    warm_up=warm_up,
    spreads=True,
)
