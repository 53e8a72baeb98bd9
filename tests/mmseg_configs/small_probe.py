"""A small linear probe in a process of its own: one of two, or one that kills itself in the middle."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.suite.protocols import load_protocol
from mmseg_configs.ade20k import ADE20KSettings, build
from mmseg_configs.runner import Parts, train_and_test
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.errors import UMTError
from umt.training.distributed import init_distributed
from umt.training.engine import Extras, RunContext

SMALL = {
    "iterations": 4, "warmup": 1, "batch": 4, "bn_batch": 2, "precision": "fp32", "scale": (256, 64), "crop": 64,
    "test_window": 64, "test_stride": 48, "dropout": 0.3, "warmup_start": 0.5,
}  # fmt: skip
SETTINGS = replace(load_protocol("ade20k_linear", "paper", ADE20KSettings).settings, **SMALL)


def probe(data: Path) -> Parts:
    samples = Dataset(dataset_info("ade20k"), data).samples
    backbone = create_backbone("timm:test_resnet?pretrained=false")
    return build(SETTINGS, backbone, samples("training"), samples("validation"), seed=0)


def train_alike(data: Path, folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Values and weights at the end, without what sees the images of one forward on one process alone."""
    settings = replace(SETTINGS, dropout=0.0)
    samples = Dataset(dataset_info("ade20k"), data).samples
    backbone = create_backbone("timm:test_resnet?pretrained=false")
    parts = build(settings, backbone, samples("training"), samples("validation"), seed=0)
    parts.model.decode_head.norm = nn.Identity()
    values = train_and_test(parts, settings, RunContext(torch.device("cpu"), folder, 0, lambda *_: None))
    return values, parts.model.state_dict()


def kill() -> None:
    """As kill -9 or a power cut does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def one_of_two(data: Path, folder: Path) -> None:
    rank = init_distributed().rank
    values, weights = train_alike(data, folder)
    areas = [[torch.from_numpy(counts) for counts in image] for image in values.pop("areas")]
    torch.save({"values": values, "weights": weights, "areas": areas}, folder / f"end-{rank}.pth")


def lost(data: Path, folder: Path) -> None:
    """The second of two dies in its second step; the first writes what it is told."""
    rank, parts = init_distributed().rank, probe(data)
    steps, step = itertools.count(1), parts.optimizer.step
    if rank == 1:
        parts.optimizer.step = lambda: kill() if next(steps) == 2 else step()  # type: ignore[method-assign]
    try:
        train_and_test(parts, SETTINGS, RunContext(torch.device("cpu"), folder, 0, lambda *_: None))
    except UMTError as error:
        (folder / f"lost-{rank}.txt").write_text(str(error))


def killed(data: Path, folder: Path, moment: str) -> None:
    def report(done: int, total: int, text: str) -> None:
        if (moment, text, done) == ("test", "test", 2):
            kill()

    parts = probe(data)
    steps, step = itertools.count(1), parts.optimizer.step
    if moment == "training":
        parts.optimizer.step = lambda: kill() if next(steps) == 3 else step()  # type: ignore[method-assign]
    train_and_test(parts, SETTINGS, RunContext(torch.device("cpu"), folder, 0, report), Extras(save_seconds=0))


if __name__ == "__main__":
    context = Path(sys.argv[1]), Path(sys.argv[2])
    if sys.argv[3] == "two":
        one_of_two(*context)
    elif sys.argv[3] == "lost":
        lost(*context)
    else:
        killed(*context, sys.argv[3])
