"""A compiled distillation step against the plain way: teachers one after the other, eager, autocast."""

from __future__ import annotations

import torch

from benchmarks.perf.distill_step import against_parts
from benchmarks.perf.distilling import DistillSetting, build_distiller, step
from benchmarks.perf.machine import clock_of, peak_share
from benchmarks.perf.row import PerfRow, interleaved
from umt.distill.distiller import Distiller

LIMITS = {"bf16": 1.6, "fp32": 1.0}  # least speed-up over eager steps in a precision


def measure(device: torch.device) -> list[PerfRow]:
    """Measure with the precision that training would choose on the device."""
    setting = DistillSetting.on(device)
    return rows(setting, build_distiller(setting))


def rows(setting: DistillSetting, model: Distiller) -> list[PerfRow]:
    """Compare with the step's own parts, and with eager steps in each precision."""
    model.compile_parts()
    parts = against_parts(setting, model, "compiled")
    return [parts, *(_against_eager(setting, model, precision) for precision in LIMITS)]


def _against_eager(setting: DistillSetting, model: Distiller, precision: str) -> PerfRow:
    views = setting.views()
    ours, plain = step(setting, model, views), step(setting, model, views, precision=precision)

    def eager() -> None:
        with torch.compiler.set_stance("force_eager"):
            plain()

    eager()
    peer_seconds, our_seconds = interleaved(
        eager, ours, repeats=max(2, setting.repeats // 2), clock=clock_of(setting.device)
    )
    job = f"distillation step, {setting.batch} images, compiled, {setting.precision}"
    speed = f"{setting.batch / our_seconds:.3g} images/s"
    peak = peak_share(ours, our_seconds, setting.device, setting.precision)
    return PerfRow(job, f"eager, {precision}", peer_seconds, our_seconds, LIMITS[precision], speed, peak_share=peak)
