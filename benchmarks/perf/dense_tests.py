"""A test image of ADE20K and of NYUv2 outside the network: from the loaded batch to the values that are kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.perf.ade_logits import CLASSES
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.suite.protocols import load_protocol
from depth import nyuv2
from mmseg_configs import ade20k
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone

BACKBONE = "timm:vit_small_patch16_224?pretrained=false"
ADE20K_SHAPE, NYUV2_SHAPE = (512, 683), (480, 640)  # of an ADE20K image's shorter side, as protocols scale it
STRIDE, LABEL_CELL = 16, 32  # pixels of a cell of the maps, and of the truth
REPEATS = 40
LIMIT_S = 0.015

Work = Callable[[], None]


def measure(device: torch.device) -> list[PerfRow]:
    """Measure the paper's protocols with stored outputs of the backbone, or of NYUv2's network: at most 15 ms."""
    torch.manual_seed(0)
    rows = []
    for name, work in {"ADE20K": ade20k_test(device), "NYUv2": nyuv2_test(device)}.items():
        work()
        [seconds] = interleaved(work, repeats=REPEATS, clock=clock_of(device))
        rows.append(PerfRow(f"{name}, a test image outside the network", "at most", LIMIT_S, seconds, limit=1))
    return rows


def ade20k_test(device: torch.device, shape: tuple[int, int] = ADE20K_SHAPE) -> Work:
    """Return the test of an image in windows, with the head of 150 classes on smooth random maps."""
    settings = load_protocol("ade20k_linear", "paper", ade20k.ADE20KSettings).settings
    with mmseg_scope(0):
        model = ade20k.build_model(settings, create_backbone(BACKBONE))
        metric = METRICS.build({"type": "ClassIoU"})
    side = settings.test_window // STRIDE
    maps = smooth(model.decode_head.in_channels, side).to(device)
    model.backbone.forward = lambda images: (maps,)
    cells = torch.randint(0, CLASSES, (1, *(size // LABEL_CELL + 1 for size in shape)))
    truth = cells.repeat_interleave(LABEL_CELL, 1).repeat_interleave(LABEL_CELL, 2)[:, : shape[0], : shape[1]]
    metric.dataset_meta = {"classes": [str(number) for number in range(CLASSES)]}
    return test_of(model.to(device).eval(), metric, shape, {"gt_sem_seg": PixelData(data=truth)})


def nyuv2_test(device: torch.device) -> Work:
    """Return the test of an image in windows and their mirror images, with given depth for all of them."""
    settings = load_protocol("nyuv2_depth", "paper", nyuv2.NYUSettings).settings
    with mmseg_scope(0):
        model = nyuv2.build_model(settings, create_backbone(BACKBONE))
        metric = METRICS.build(nyuv2.metric_config(settings))
    depths = 1 + torch.rand(6, 1, settings.test_window, settings.test_window, device=device)  # three windows, two flips
    model.encode_decode = lambda windows, metas: depths
    truth = torch.rand(1, *NYUV2_SHAPE) * settings.max_depth
    return test_of(model.to(device).eval(), metric, NYUV2_SHAPE, {"gt_depth_map": PixelData(data=truth)})


def test_of(model: Any, metric: BaseMetric, shape: tuple[int, int], truth: dict[str, PixelData]) -> Work:
    """Return the step of mmengine's test loop on an image of bytes."""
    image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)

    @torch.no_grad()
    def work() -> None:
        sample = SegDataSample(metainfo={"img_path": "a", "ori_shape": shape, "img_shape": shape}, **truth)
        samples = model.test_step({"inputs": [image], "data_samples": [sample]})
        metric.process({}, [sample.to_dict() for sample in samples])

    return work


def smooth(channels: int, side: int) -> Tensor:
    """Draw maps [1, C, side, side] with some regions, and noise on them."""
    coarse = torch.randn(1, channels, 8, 8) * 3
    return interpolate(coarse, size=(side, side), mode="bicubic") + 0.3 * torch.randn(1, channels, side, side)
