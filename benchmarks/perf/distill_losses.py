"""A distillation step with the losses and balances beyond the paper, against the step of the paper's plain sum."""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.perf.distilling import DistillSetting, build_distiller, step
from benchmarks.perf.machine import clock_of, peak_share
from benchmarks.perf.row import PerfRow, interleaved
from umt.distill.recipe import AlignmentSpec

ALIGNMENTS = {
    "relation, shift": AlignmentSpec(relation=1.0, shift=1),
    "teacher_drop, uncertainty": AlignmentSpec(teacher_drop=0.25, balance="uncertainty"),
    "standardised, angular": AlignmentSpec(standardise="mean_std"),
}


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the steps: at most 1.05 of the plain one."""
    return rows(DistillSetting.on(device))


def rows(setting: DistillSetting) -> list[PerfRow]:
    """Compare the steps in one run, all with the same weights of student, spaces and teachers."""
    settings = {name: _changed(setting, name) for name in ALIGNMENTS}
    views = setting.views()
    plain = build_distiller(setting)
    models = [build_distiller(changed) for changed in settings.values()]
    for model in models:
        model.teachers = plain.teachers
    steps = [step(setting, model, views) for model in (plain, *models)]
    for function in steps:
        function()
    theirs, *ours = interleaved(*steps, repeats=setting.repeats, clock=clock_of(setting.device))
    job = f"distillation step, {setting.batch} images, {setting.precision}"
    return [
        PerfRow(
            f"{job}: {name}",
            "plain sum",
            theirs,
            seconds,
            limit=1 / 1.05,
            peak_share=peak_share(run, seconds, setting.device, setting.precision),
        )
        for name, run, seconds in zip(settings, steps[1:], ours, strict=True)
    ]


def _changed(setting: DistillSetting, name: str) -> DistillSetting:
    """Return the setting with another alignment; the angular one for the model tokens of all teachers."""
    teachers = setting.recipe.teachers
    if "angular" in name:
        teachers = tuple(replace(teacher, summary_loss="angular") for teacher in teachers)
    return replace(setting, recipe=replace(setting.recipe, teachers=teachers, alignment=ALIGNMENTS[name]))
