"""A training step of a ViT in bf16, with the attention that trainings take, against PyTorch's fused kernel."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from torch import nn

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.training.precision import has_fast_bf16, plain_attention

TINY = ("vit_tiny_patch16_224", 96, 32)  # model, pixels, images
SMALL = ("vit_small_patch16_224", 224, 8)


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the steps on CPUs that train in bf16: at least 2 and 1.2 times as fast; GPUs keep the kernel."""
    if device.type != "cpu" or not has_fast_bf16(device):
        return []
    return [row(*TINY, limit=2.0), row(*SMALL, limit=1.2)]


def row(name: str, pixels: int, images: int, limit: float) -> PerfRow:
    """Compare forward and backward of a model with random weights."""
    device = torch.device("cpu")
    model = timm.create_model(name, num_classes=0, img_size=pixels).train()
    step = _step(model, torch.rand(images, 3, pixels, pixels))

    def plain() -> None:
        with plain_attention(model, "bf16", device):
            step()

    step()
    theirs, ours = interleaved(step, plain, repeats=5, clock=clock_of(device))
    return PerfRow(f"training step of {name}, {pixels} pixels, {images} images, bf16", "fused", theirs, ours, limit)


def _step(model: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(images).float().square().mean()
        loss.backward()
        model.zero_grad()

    return run
