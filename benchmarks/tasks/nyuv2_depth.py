"""NYUv2: depth RMSE of a fine-tuned backbone with a DPT head, through MMSegmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from depth.nyuv2 import NYUSettings, build, build_model
from depth.panel import TILES, depth_panel
from depth.windows import window_boxes
from mmseg_configs.runner import dense_forward, train_and_test
from umt.data.images import decode_rgb
from umt.files import component
from umt.panels import Panel, panel_details
from umt.training.engine import RunContext


def run(job: Job[NYUSettings]) -> Outcome:
    """Train on the training split, and test the weights that the protocol chooses on the test split."""
    settings = job.settings
    train, test = job.dataset.training_samples, job.dataset.reported_samples
    parts = build(settings, job.backbone, train, test, job.seed, job.dataset.info.depth_scale)
    values = train_and_test(parts, settings, RunContext(job.device, job.work_dir, job.seed, job.progress, job.wandb))
    raw = {name: np.array(image_values) for name, image_values in values.pop("images").items()}
    shown = {Path(path): maps for path, maps in values.pop("pictures").items()}
    # only these images: all of them would be some 400 MB; half precision is within 4 mm at 10 m
    names = picture_names(list(shown), job.dataset.root)
    raw.update({f"prediction/{names[path]}": maps[0].astype(np.float16) for path, maps in shown.items()})
    details = {**parts.details, **({"best_step": values.pop("best_step")} if settings.best_on_test else {})}
    panels_by_name = {names[path]: panel for path, panel in panels(shown).items()}
    return Outcome(
        values,
        global_batch=settings.batch,
        details={**details, **panel_details(TILES, panels_by_name)},
        raw=raw,
        pictures={name: panel.pixels for name, panel in panels_by_name.items()},
    )


def panels(shown: Mapping[Path, np.ndarray]) -> dict[Path, Panel]:
    """Draw a panel of each image with its prediction and truth [2, H, W]."""
    images = {path: np.asarray(decode_rgb(path)) for path in shown}
    return {path: depth_panel(images[path], *maps) for path, maps in shown.items()}


def picture_names(paths: Sequence[Path], root: Path) -> dict[Path, str]:
    """Return a name of each image: its own, or with its folders below the data set's if two images share it."""
    if len({path.stem for path in paths}) == len(paths):
        return {path: path.stem for path in paths}
    return {path: component(path.relative_to(root).with_suffix("").as_posix()) for path in paths}


def workload(settings: NYUSettings, sizes: Mapping[str, int]) -> Workload:
    """Count training crops, and test images whole or in windows with their mirror images."""
    _, reported = split_sizes(sizes)
    return Workload(
        trained=Passes(settings.iterations * settings.batch, settings.crop, precision=settings.precision),
        tested=_tested(settings, settings.tests * reported),
        frozen=settings.trained == "head",
        network=lambda backbone: dense_forward(lambda: build_model(settings, backbone)),
    )


def _tested(settings: NYUSettings, images: int) -> Passes:
    if settings.test_mode == "whole":
        return Passes(images, settings.test_size)
    window, stride = settings.test_window, settings.test_stride
    boxes = window_boxes(settings.test_size, (window, window), (stride, stride))
    top, bottom, left, right = boxes[0]  # all boxes have the same size
    return Passes(images, (bottom - top, right - left), each=2 * len(boxes))


TASK = Task(
    name="nyuv2_depth",
    about="depth with a DPT head, backbone fine-tuned",
    settings=NYUSettings,
    kinds=("depth",),
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
    workload=workload,
    spreads=True,
)
