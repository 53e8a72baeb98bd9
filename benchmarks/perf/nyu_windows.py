"""NYUv2's windows and mirror images in one forward, against one forward each and against the network alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.suite.protocols import load_protocol
from depth.nyuv2 import NYUSettings, build_model
from depth.windows import WindowedDepthEstimator
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone

BACKBONES = ("resnet50", "vit_small_patch16_224")
FORWARDS = 6  # three windows, two flips
LIMIT = 1 / 1.05
HALF_SIZE: dict[str, Any] = {
    "test_size": (256, 320),
    "test_window": 256,
    "test_stride": 32,
}  # three windows, and multiples of 32


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the paper's protocol on images of half its sides, so that it takes minutes; random weights, fp32."""
    return [row for name in BACKBONES for row in rows(name, device)]


def rows(name: str, device: torch.device, repeats: int = 3) -> list[PerfRow]:
    """Compare with mmseg's own slide_flip, and with six forwards of the window's size and nothing else."""
    paper = load_protocol("nyuv2_depth", "paper", NYUSettings).settings
    settings = replace(paper, **HALF_SIZE)
    with mmseg_scope(0):
        model = build_model(settings, create_backbone(f"timm:{name}?pretrained=false"))
    model = model.to(device, memory_format=torch.channels_last).eval()
    image = torch.rand(1, 3, *settings.test_size, device=device)
    window = image[..., : settings.test_window].contiguous(memory_format=torch.channels_last)
    metas: list[dict[str, Any]] = [{"img_shape": window.shape[2:]}]

    def one_by_one() -> torch.Tensor:
        depth: torch.Tensor = super(WindowedDepthEstimator, model).slide_flip_inference(image, metas)
        return depth

    def together() -> torch.Tensor:
        return model.slide_flip_inference(image, metas)

    def forward_alone() -> None:
        for _ in range(FORWARDS):
            model.encode_decode(window, metas)

    with torch.inference_mode():
        largest_difference = float((one_by_one() - together()).abs().max())
        peer, ours, floor = interleaved(one_by_one, together, forward_alone, repeats=repeats, clock=clock_of(device))
    job = f"depth of an image in {FORWARDS} windows, {name}"
    note = f"{largest_difference:.1e} m apart"
    return [
        PerfRow(job, "mmseg, window by window", peer, ours, limit=LIMIT, note=note),
        PerfRow(job, f"{FORWARDS} forwards alone", floor, ours, limit=LIMIT, note=note),
    ]
