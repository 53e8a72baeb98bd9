"""NYUv2: surface normals, derived from its depth or published, of a DPT head on a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from depth.normals.panel import TILES, normals_panel
from depth.normals.pipeline import CentreCrop
from depth.normals.probe import TRUTHS, NormalsSettings, build, build_model
from mmseg_configs.runner import dense_forward, train_and_test
from umt.data.contract import DatasetInfo
from umt.data.images import decode_rgb
from umt.errors import DeclarationError
from umt.panels import Panel, panel_details
from umt.training.engine import RunContext


def run(job: Job[NormalsSettings]) -> Outcome:
    """Train on the training split, and test the last weights on the test split."""
    settings = job.settings
    _check_truth(settings, job.dataset.info)
    parts = build(settings, job.backbone, job.dataset.training_samples, job.dataset.reported_samples, job.seed)
    values = train_and_test(parts, settings, RunContext(job.device, job.work_dir, job.seed, job.progress, job.wandb))
    raw = {name: np.array(image_values) for name, image_values in values.pop("images").items()}
    panels = {Path(path).stem: _panel(Path(path), maps, settings) for path, maps in values.pop("pictures").items()}
    return Outcome(
        values,
        global_batch=settings.batch,
        details={**parts.details, **panel_details(TILES, panels)},
        raw=raw,
        pictures={name: panel.pixels for name, panel in panels.items()},
    )


def _check_truth(settings: NormalsSettings, info: DatasetInfo) -> None:
    """Raise DeclarationError if the protocol's normals are not those of the data set."""
    if TRUTHS[settings.truth] != info.kind:
        protocols = "ladicky or ladicky_mini" if info.kind == "normals" else "paper or mini"
        raise DeclarationError(
            f"protocol field 'truth' is '{settings.truth}', and data set '{info.name}' holds {info.kind}; take "
            f"protocol {protocols}, or another data set"
        )


def _panel(path: Path, directions: np.ndarray, settings: NormalsSettings) -> Panel:
    """Draw the tested middle of an image with prediction and truth [2, 3, H, W]."""
    image = np.asarray(decode_rgb(path))
    crop = CentreCrop(settings.size, settings.crop).transform({"img": image, "normals": image})["img"]
    return normals_panel(crop, *directions.transpose(0, 2, 3, 1))


def workload(settings: NormalsSettings, sizes: Mapping[str, int]) -> Workload:
    """Count training and test images, cropped."""
    _, reported = split_sizes(sizes)
    return Workload(
        trained=Passes(settings.iterations * settings.batch, settings.crop, precision=settings.precision),
        tested=Passes(settings.tests * reported, settings.crop),
        frozen=True,
        network=lambda backbone: dense_forward(lambda: build_model(settings, backbone)),
    )


TASK = Task(
    name="nyuv2_normals",
    about="surface normals, derived from depth or published, with a DPT head on a frozen backbone",
    settings=NormalsSettings,
    kinds=tuple(TRUTHS.values()),
    metrics=(
        Metric("angle_rmse", "°", higher_is_better=False),
        Metric("angle_mean", "°", higher_is_better=False),
        Metric("angle_median", "°", higher_is_better=False),
        Metric("within_11", "%"),
        Metric("within_22", "%"),
        Metric("within_30", "%"),
    ),
    run=run,
    workload=workload,
    spreads=True,
)
