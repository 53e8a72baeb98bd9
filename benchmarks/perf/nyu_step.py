"""A training step of NYUv2's depth network, against its forward and backward alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from benchmarks.perf.distill_memory import peak_bytes
from benchmarks.perf.machine import clock_of, peak_share
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.suite.protocols import load_protocol
from depth.nyuv2 import NYUSettings, build_model, optimizer_of
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone
from umt.training.optim_wrapper import make_optim_wrapper
from umt.training.precision import pick_precision

BACKBONES = ("resnet50", "vit_small_patch16_224")
PEER = "forward and backward alone"
LIMIT = 1 / 1.1
MIB = 2**20


@dataclass(frozen=True)
class StepSetting:
    """Training images of one size, few and small on a CPU."""

    settings: NYUSettings
    device: torch.device
    repeats: int

    @classmethod
    def on(cls, device: torch.device) -> StepSetting:
        """Take the paper's batch and crop on a GPU; two crops of 224 pixels on a CPU."""
        settings = load_protocol("nyuv2_depth", "paper", NYUSettings).settings
        gpu = device.type == "cuda"
        precision = settings.precision if gpu else pick_precision("auto", device)
        small: dict[str, Any] = {} if gpu else {"batch": 2, "bn_batch": 2, "crop": (224, 224)}
        return cls(replace(settings, precision=precision, **small), device, repeats=20 if gpu else 5)

    def batch(self) -> dict[str, Any]:
        """Draw images of bytes, and depth of which a fifth is not measured, as a loader gives them."""
        torch.manual_seed(0)
        samples, images = [], []
        for _ in range(self.settings.batch):
            images.append(torch.randint(0, 256, (3, *self.settings.crop), dtype=torch.uint8))
            depth = torch.rand(1, *self.settings.crop) * 10
            samples.append(SegDataSample(gt_depth_map=PixelData(data=depth * (torch.rand_like(depth) > 0.2))))
        return {"inputs": images, "data_samples": samples}


def measure(device: torch.device) -> list[PerfRow]:
    """Measure without loading; random weights, and the precision of training."""
    return [row for name in BACKBONES for row in rows(name, StepSetting.on(device))]


def rows(name: str, setting: StepSetting) -> list[PerfRow]:
    """Compare seconds and peak memory; the step also moves the batch, takes the loss and updates the weights."""
    settings, device = setting.settings, setting.device
    with mmseg_scope(0):
        model = build_model(settings, create_backbone(f"timm:{name}?pretrained=false"))
    model = model.to(device, memory_format=torch.channels_last).train()
    batch = setting.batch()
    optimiser = make_optim_wrapper(settings.precision, device, optimizer=optimizer_of(settings, model))
    images = model.data_preprocessor(batch, training=True)["inputs"]

    def forward_backward() -> None:
        with optimiser.optim_context(model):
            depth = model.decode_head(model.backbone(images))
        depth.float().sum().backward()
        optimiser.zero_grad()

    def step() -> None:
        model.train_step(batch, optimiser)

    floor, ours = interleaved(forward_backward, step, repeats=setting.repeats, clock=clock_of(device))
    floor_peak, peak = (peak_bytes(work, device) / MIB for work in (forward_backward, step))
    job = f"NYUv2 training step, {name}, {settings.batch} crops of {settings.crop[0]} px, {settings.precision}"
    speed = f"{settings.batch / ours:.3g} images/s"
    return [
        PerfRow(job, PEER, floor, ours, LIMIT, speed, peak_share=peak_share(step, ours, device, settings.precision)),
        PerfRow(f"{job}, peak memory", PEER, floor_peak, peak, LIMIT, unit="MiB"),
    ]
