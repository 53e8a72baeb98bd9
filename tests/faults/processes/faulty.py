"""A backbone that goes wrong once: at a forward of a process, the second by default, if its trap is set.

The look at it before the jobs is one forward. Named as `faulty.py:faulty?fault=hang&trap=FILE`; where FILE is
there the fault happens and FILE is renamed to FILE.sprung, so that a test sees that it did, and the same command goes
on without it.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from umt.backbones import Backbone, Features, Preprocess

WIDTH = 4
BALLAST: list[Tensor] = []


def full_disk(features: Features) -> None:
    """From now on a file of this process takes 1500 bytes: enough for features, too little for a result."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))


def hoard(features: Features) -> None:
    for _ in range(600):
        BALLAST.append(torch.ones(1 << 20))  # 4 MiB, each of them touched
        time.sleep(0.02)


def fail(features: Features) -> None:
    raise RuntimeError("an error of the plug-in's own")


FAULTS: dict[str, Callable[[Features], object]] = {
    "nan": lambda features: features.pooled[1].fill_(float("nan")),
    "raise": fail,
    "hang": lambda features: time.sleep(600),
    "hoard": hoard,
    "die": lambda features: os.kill(os.getpid(), signal.SIGKILL),
    "full disk": full_disk,
    "slow": lambda features: time.sleep(4),
}


class Faulty(Backbone):
    def __init__(self, fault: str, trap: str, at: int, width: int) -> None:
        super().__init__(Preprocess(size_multiple=16), channels=[width], strides=[16], dim=width)
        torch.manual_seed(0)
        self.embed = torch.nn.Conv2d(3, width, 16, 16)
        self.fault, self.trap, self.at, self.forwards = fault, Path(trap), at, 0

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        fmap = self.embed(images)
        features = Features(fmap.mean(dim=(2, 3)), None, [fmap for _ in maps])
        self.forwards += 1
        if self.forwards >= self.at and self.trap.exists():
            self.trap.rename(f"{self.trap}.sprung")
            FAULTS[self.fault](features)
        return features


def faulty(fault: str = "raise", trap: str = "/nowhere", at: int = 2, width: int = WIDTH) -> Backbone:
    return Faulty(fault.replace("_", " "), trap, at, width)


def liar(channels: int = WIDTH, stride: int = 16, dim: int = WIDTH) -> Backbone:
    """Declares shapes that are not those of its features."""
    backbone = faulty()
    backbone.channels, backbone.strides, backbone.dim = (channels,), (stride,), dim
    return backbone
