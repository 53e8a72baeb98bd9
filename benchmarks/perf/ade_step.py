"""Loss and gradient of a linear probe's logits: fused against mmseg's upsampling, cross-entropy and accuracy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor

from benchmarks.perf.ade_logits import CLASSES, noise, real_data, trained_logits
from benchmarks.perf.distill_memory import peak_bytes
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from mmseg_configs.head import LinearHead

MIB = 2**20
BATCH, CROP = 2, (512, 512)
REPEATS = 3
Loss = Callable[[BaseDecodeHead, Tensor, list[SegDataSample]], dict[str, Tensor]]


def measure(device: torch.device) -> list[PerfRow]:
    """Measure two crops at strides 16 and 4, and a trained head's logits if there is real data."""
    rows = []
    for side in (32, 128):
        rows += compare(f"{side} x {side} logits", noise((side, side)).expand(BATCH, -1, -1, -1).to(device) * 3, CROP)
    folder = real_data()
    if folder:
        logits = torch.stack(trained_logits(folder, BATCH))
        rows += compare("a trained head's 8 x 11 logits", logits.to(device), (256, 352))
    return rows


def compare(name: str, logits: Tensor, size: tuple[int, int]) -> list[PerfRow]:
    """Compare seconds and peak memory."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        head = LinearHead(1, CLASSES)
    samples = _samples(len(logits), size, logits.device)
    leaf = logits.clone().requires_grad_()

    def work(loss: Loss) -> Callable[[], None]:
        def run() -> None:
            leaf.grad = None
            loss(head, leaf, samples)["loss_ce"].backward()

        return run

    peer, ours = work(BaseDecodeHead.loss_by_feat), work(LinearHead.loss_by_feat)
    peer()
    expected = leaf.grad
    ours()
    note = f"gradient differs by {float((leaf.grad - expected).norm() / expected.norm()):.1g}"  # type: ignore[operator, union-attr]
    theirs, seconds = interleaved(peer, ours, repeats=REPEATS, clock=clock_of(logits.device))
    their_peak, peak = (peak_bytes(run, logits.device) / MIB for run in (peer, ours))
    job = f"ADE20K probe step, {name} to {size[0]} x {size[1]}"
    return [
        PerfRow(job, "mmseg", theirs, seconds, limit=5, note=note),
        PerfRow(f"{job}, peak memory", "mmseg", their_peak, peak, limit=20, unit="MiB"),
    ]


def _samples(count: int, size: tuple[int, int], device: torch.device) -> list[SegDataSample]:
    """Draw labels without structure, a tenth of them ignored."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(count):
        labels = torch.randint(0, CLASSES, (1, *size), generator=generator)
        labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=labels.to(device))
        samples.append(sample)
    return samples
