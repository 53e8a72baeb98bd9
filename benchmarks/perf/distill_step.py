"""A distillation step against the work that it cannot avoid: teachers, student and spaces, each alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.perf.distilling import DistillSetting, build_distiller, step
from benchmarks.perf.machine import clock_of, peak_share
from benchmarks.perf.row import PerfRow, interleaved
from umt.backbones.contract import Features
from umt.distill.distiller import Distiller, as_floats

Work = Callable[[], None]


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the step: at most 1.10 of the sum."""
    setting = DistillSetting.on(device)
    return [against_parts(setting, build_distiller(setting), "eager")]


def against_parts(setting: DistillSetting, model: Distiller, mode: str) -> PerfRow:
    """Compare the step with the sum of its parts, in the same precision."""
    views = setting.views()
    parts = [*_teachers(setting, model, views), _student(setting, model, views), _spaces(setting, model, views)]
    whole_step = step(setting, model, views)
    for function in (whole_step, *parts):
        function()
    ours, *alone = interleaved(whole_step, *parts, repeats=setting.repeats, clock=clock_of(setting.device))
    names = [*(teacher.name for teacher in model.teachers), "student", "spaces"]
    note = ", ".join(f"{name} {seconds:.3g}" for name, seconds in zip(names, alone, strict=True))
    job = f"distillation step, {setting.batch} images, {mode}, {setting.precision}"
    peak = peak_share(whole_step, ours, setting.device, setting.precision)
    return PerfRow(job, "sum of its parts alone", sum(alone), ours, limit=1 / 1.10, note=note, peak_share=peak)


def _teachers(setting: DistillSetting, model: Distiller, views: Tensor) -> list[Work]:
    images = as_floats(views)

    def forward(index: int) -> None:
        with setting.autocast(), torch.no_grad():
            model.teachers[index].backbone(images, maps=(-1,))

    return [lambda index=index: forward(index) for index in range(len(model.teachers))]  # type: ignore[misc]


def _student(setting: DistillSetting, model: Distiller, views: Tensor) -> Work:
    images = as_floats(views)

    def train() -> None:
        with setting.autocast():
            features = model.student(images, maps=(-1,))
        _backward([features.maps[-1]] if features.cls is None else [features.maps[-1], features.cls])
        model.zero_grad()

    return train


def _spaces(setting: DistillSetting, model: Distiller, views: Tensor) -> Work:
    """Return forward and backward of the spaces on recorded features of the student."""
    with setting.autocast(), torch.no_grad():
        recorded = model.student(as_floats(views), maps=(-1,))
    recorded = _leaves(recorded)

    def train() -> None:
        with setting.autocast():
            spaces = model.spaces(recorded).values()
        _backward([value for space in spaces for value in (space.summary, space.fmap) if value is not None])
        model.zero_grad()

    return train


def _leaves(features: Features) -> Features:
    """Copy features so that they take a gradient and pass none on."""
    cls = None if features.cls is None else features.cls.detach().requires_grad_()
    return replace(features, cls=cls, maps=[features.maps[-1].detach().requires_grad_()])


def _backward(outputs: list[Tensor]) -> None:
    torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
