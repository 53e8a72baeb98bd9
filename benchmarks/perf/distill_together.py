"""A step of two students on one pass of the teachers, against a step of the first and the second's own part of one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.perf.distilling import DistillSetting, build_distiller, step
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.distill.distiller import DistillerGroup, as_floats
from umt.distill.teachers.teacher import all_targets


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the step: at most 1.15 of its parts."""
    return rows(DistillSetting.on(device))


def rows(setting: DistillSetting) -> list[PerfRow]:
    """Compare in one run; the second student has the first one's architecture, and teachers of its own cells."""
    views = setting.views()
    first, second = build_distiller(setting), build_distiller(setting)
    targets = {
        name: (target.summary, target.features)
        for name, target in all_targets(first.teachers, as_floats(views)).items()
    }
    alone, own_part = step(setting, first, views), step(setting, second, views, targets)
    together = _group_step(
        setting, DistillerGroup({"a": first, "b": second}, {"a": first.teachers, "b": first.teachers})
    )

    def parts() -> None:
        alone()
        own_part()

    functions = (parts, lambda: together(views))
    for function in functions:
        function()
    theirs, ours = interleaved(*functions, repeats=setting.repeats, clock=clock_of(setting.device))
    job = f"distillation step of two students, {setting.batch} images, {setting.precision}"
    return [PerfRow(job, "a step of one, and the second's own part", theirs, ours, limit=1 / 1.15)]


def _group_step(setting: DistillSetting, group: DistillerGroup) -> Callable[[torch.Tensor], None]:
    """Return a training step of both students without their optimiser."""

    def run(views: torch.Tensor) -> None:
        with setting.autocast():
            loss = group(views)["loss"]
        loss.backward()
        group.zero_grad()

    return run
