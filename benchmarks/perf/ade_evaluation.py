"""An ADE20K test image from logits to counts: fused against mmseg's resize, resize, argmax and histograms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from mmseg.evaluation import IoUMetric
from mmseg.models.utils import resize
from torch import Tensor

from benchmarks.perf.ade_logits import CLASSES, noise, real_data, regions, trained_logits
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from mmseg_configs.fused.map import chunked_class_map, class_map, kernel
from mmseg_configs.fused.resampling import evaluation
from mmseg_configs.metric import ClassIoU

Shape = tuple[int, int]
PADDED, UNPADDED = (512, 704), (512, 683)  # the network's input with and without padding; the image itself is as large
LIMITS = {32: 150.0, 128: 20.0}
FALLBACK_LIMIT = 2.0
REPEATS = 5


def measure(device: torch.device) -> list[PerfRow]:
    """Measure logits on 1/16 and 1/4 of a 512 x 683 image; operators of an image size are made once and then kept."""
    rows = []
    for side, limit in LIMITS.items():
        grid = (side, side * PADDED[1] // PADDED[0])
        for name, logits in {"regions": regions(grid), "noise": noise(grid)}.items():
            rows += compare(f"{name}, {side} x {grid[1]} logits", logits.to(device), PADDED, UNPADDED, limit)
    folder = real_data()
    if folder:
        [logits] = trained_logits(folder, 1)
        rows += compare("a trained head's 8 x 11 logits", logits.to(device), (256, 352), (256, 341), LIMITS[32])
    return rows


def compare(name: str, logits: Tensor, padded: Shape, unpadded: Shape, limit: float) -> list[PerfRow]:
    """Compare mmseg's way with the compiled way (if it is installed and runs) and with plain torch."""
    truth = torch.randint(
        0, CLASSES, (unpadded[0] // 32 + 1, unpadded[1] // 32 + 1), generator=torch.Generator().manual_seed(1)
    )
    labels = truth.repeat_interleave(32, 0).repeat_interleave(32, 1)[: unpadded[0], : unpadded[1]].to(logits.device)
    operators = tuple(
        evaluation(logits.shape[1 + axis], padded[axis], (0,), (0, unpadded[axis]), unpadded[axis]) for axis in (0, 1)
    )
    ways: dict[str, tuple[float, Callable[[], Tensor]]] = {
        "plain torch": (FALLBACK_LIMIT, partial(chunked_class_map, logits, *operators))
    }
    if kernel() and logits.device.type == "cpu":
        ways["compiled"] = (limit, partial(class_map, logits, *operators))
    exact = _mmseg(logits.double(), padded, unpadded)
    peer = partial(_counts, IoUMetric, partial(_mmseg, logits, padded, unpadded), labels)
    rows = []
    for way, (bound, make) in ways.items():
        ours = partial(_counts, ClassIoU, make, labels)
        ours()
        theirs, seconds = interleaved(peer, ours, repeats=REPEATS, clock=clock_of(logits.device))
        note = f"{int((make() != exact).sum())} pixels differ from float64"
        rows.append(PerfRow(f"ADE20K evaluation, {name}, {way}", "mmseg", theirs, seconds, bound, note))
    return rows


def _mmseg(logits: Tensor, padded: Shape, unpadded: Shape) -> Tensor:
    up = resize(logits[None], size=padded, mode="bilinear", align_corners=False)[..., : unpadded[0], : unpadded[1]]
    return resize(up, size=unpadded, mode="bilinear", align_corners=False, warning=False)[0].argmax(dim=0)


def _counts(metric: type[IoUMetric], make: Callable[[], Tensor], labels: Tensor) -> object:
    return metric.intersect_and_union(make(), labels, CLASSES, 255)
