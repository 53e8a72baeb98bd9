"""Peak memory of a distillation step against student training alone and the largest teacher's forward."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.perf.distilling import DistillSetting, build_distiller, step
from benchmarks.perf.row import PerfRow
from umt.backbones.contract import Backbone
from umt.distill.distiller import LOW_MEMORY_PARTS, Distiller, as_floats
from umt.distill.teachers.teacher import all_targets

MIB = 2**20
CPU_BATCH = 8  # with fewer images the gradients of the weights, which no batch changes, are most of the memory


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the peak: at most 1.10 of the training alone plus the largest teacher's forward.

    Without spaces in the training alone, --low-memory is what reaches it.
    """
    setting = DistillSetting.on(device)
    if device.type == "cpu":
        setting = replace(setting, batch=CPU_BATCH)
    return rows(setting, build_distiller(setting))


def rows(setting: DistillSetting, model: Distiller) -> list[PerfRow]:
    """Compare peaks above the memory held before: weights, views and recorded targets; gradients count."""
    views, device = setting.views(), setting.device
    with setting.autocast():
        recorded = all_targets(model.teachers, as_floats(views))
    targets = {name: (target.summary, target.features) for name, target in recorded.items()}
    ours = peak_bytes(step(setting, model, views), device)
    largest = max(peak_bytes(_forward(setting, teacher.backbone, views), device) for teacher in model.teachers)
    job = f"peak memory of a distillation step, {setting.batch} images, {setting.precision}"
    alone = {
        "student and spaces on given targets": (ours, peak_bytes(step(setting, model, views, targets), device)),
        "student without spaces": (
            _with_low_memory(setting, model, views),
            peak_bytes(_training(setting, model.student, views), device),
        ),
    }
    return [
        PerfRow(
            job,
            f"{name} + largest teacher's forward",
            (peak + largest) / MIB,
            measured / MIB,
            limit=1 / 1.10,
            note=f"{peak / MIB:.4g} + {largest / MIB:.4g}",
            unit="MiB",
        )
        for name, (measured, peak) in alone.items()
    ]


def _with_low_memory(setting: DistillSetting, model: Distiller, views: Tensor) -> int:
    """Return the peak of a step with the option --low-memory."""
    model.parts = LOW_MEMORY_PARTS
    peak = peak_bytes(step(setting, model, views), setting.device)
    model.parts = 1
    return peak


def _forward(setting: DistillSetting, teacher: Backbone, views: Tensor) -> Callable[[], None]:
    def run() -> None:
        with setting.autocast(), torch.no_grad():
            teacher(as_floats(views), maps=(-1,))

    return run


def _training(setting: DistillSetting, student: Backbone, views: Tensor) -> Callable[[], None]:
    def run() -> None:
        with setting.autocast():
            fmap = student(as_floats(views), maps=(-1,)).maps[-1]
        fmap.backward(torch.ones_like(fmap))
        student.zero_grad()

    return run


def peak_bytes(function: Callable[[], object], device: torch.device) -> int:
    """Return the largest memory of all tensors of `function` at one time, as the allocator counts."""
    if device.type != "cuda":
        return _peak_on_cpu(function)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    function()
    return torch.cuda.max_memory_allocated(device) - before


def _peak_on_cpu(function: Callable[[], object]) -> int:
    """Compute the peak from the allocations that torch's profiler records."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return _peak_of([event["args"] for event in events if event["name"] == "[memory]"])


def _peak_of(events: list[dict[str, Any]]) -> int:
    """Return the most bytes that were held at one time of what these events allocate.

    The profiler's own total also falls when memory of earlier work is freed, which garbage collection does at any time.
    """
    blocks: dict[int, int] = {}
    total = peak = 0
    for event in events:
        freed_bytes = blocks.pop(event["Addr"], 0)
        if event["Bytes"] > 0:
            blocks[event["Addr"]] = event["Bytes"]
        total += blocks.get(event["Addr"], 0) - freed_bytes
        peak = max(peak, total)
    return peak
