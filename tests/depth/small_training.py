"""A depth training of seconds, best weights kept: run by tests in this process, in two, or in one that is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.suite.protocols import load_protocol
from depth.nyuv2 import NYUSettings, build
from mmseg_configs.runner import train_and_test
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.training.distributed import init_distributed
from umt.training.engine import Extras, RunContext

# Without biases of the keys: their gradient is zero but for rounding, which AdamW blows up to full steps.
SPEC = "timm:vit_tiny_patch16_224?pretrained=false&img_size=48&depth=4&embed_dim=24&num_heads=2&qkv_bias=false"
SMALL: dict[str, Any] = {
    "iterations": 6, "warmup": 1, "warmup_start": 0.5, "batch": 4, "bn_batch": 2, "lr": 1e-3, "precision": "fp32",
    "best_on_test": 2, "dropout": 0.0, "channels": 8, "post_process_channels": (4, 4, 4, 4), "size": (48, 64),
    "test_size": (48, 64), "crop": (48, 48), "test_window": 48, "test_stride": 8,
}  # fmt: skip
KILLED_IN = ("test of step 4", 2)  # of three test images


def train(
    data: Path, folder: Path, save_seconds: float = 300.0, report: Callable[[int, int, str], None] = lambda *_: None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The metric's values, and the weights that they belong to."""
    settings = replace(load_protocol("nyuv2_depth", "paper", NYUSettings).settings, **SMALL)
    dataset = Dataset(dataset_info("nyuv2"), data)
    parts = build(settings, create_backbone(SPEC), dataset.samples("train"), dataset.samples("test"), seed=0)
    without_batchnorm(parts.model)
    context = RunContext(torch.device("cpu"), folder, 0, report)
    values = train_and_test(parts, settings, context, Extras(save_seconds=save_seconds))
    return values, parts.model.state_dict()


def without_batchnorm(module: nn.Module) -> None:
    """BatchNorm sees the images of a forward, so its statistics depend on how the batch is shared out."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        else:
            without_batchnorm(child)


def kill(done: int, total: int, text: str) -> None:
    """The end of the process in the middle of a test, as kill -9 or a power cut makes it."""
    if (text, done) == KILLED_IN:
        os.kill(os.getpid(), signal.SIGKILL)


def main(task: str, data: Path, folder: Path) -> None:
    if task == "killed":
        train(data, folder, save_seconds=0, report=kill)
    rank = init_distributed().rank
    values, weights = train(data, folder)
    values.pop("pictures")
    torch.save({"values": values, "weights": weights}, folder / f"end-{rank}.pth")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
