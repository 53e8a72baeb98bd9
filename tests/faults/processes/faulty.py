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


def full_disk(features: Features, trap: Path) -> None:
    """From now on a file of this process takes 1500 bytes: enough for features, too little for a result."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))


def hoard(features: Features, trap: Path) -> None:
    for _ in range(600):
        BALLAST.append(torch.ones(1 << 20))  # 4 MiB, each of them touched
        time.sleep(0.02)


def fail(features: Features, trap: Path) -> None:
    raise RuntimeError("an error of the plug-in's own")


def wait(features: Features, trap: Path) -> None:
    """Until the test says go."""
    while not Path(f"{trap}.go").exists():
        time.sleep(0.05)


FAULTS: dict[str, Callable[[Features, Path], object]] = {
    "nan": lambda features, trap: features.pooled[1].fill_(float("nan")),
    "raise": fail,
    "hang": lambda features, trap: time.sleep(600),
    "hoard": hoard,
    "die": lambda features, trap: os.kill(os.getpid(), signal.SIGKILL),
    "full disk": full_disk,
    "wait": wait,
}


class Faulty(Backbone):
    def __init__(self, fault: str, trap: str, at: int, width: int, rank: int | None) -> None:
        super().__init__(Preprocess(size_multiple=16), channels=[width], strides=[16], dim=width)
        torch.manual_seed(0)
        self.embed = torch.nn.Conv2d(3, width, 16, 16)
        self.fault, self.trap, self.at, self.forwards = fault, Path(trap), at, 0
        self.here = rank is None or os.environ.get("RANK") == str(rank)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        fmap = self.embed(images)
        features = Features(fmap.mean(dim=(2, 3)), None, [fmap for _ in maps])
        self.forwards += 1
        if self.here and self.forwards >= self.at and self.trap.exists():
            self.trap.rename(f"{self.trap}.sprung")
            FAULTS[self.fault](features, self.trap)
        return features


def faulty(
    fault: str = "raise", trap: str = "/nowhere", at: int = 2, width: int = WIDTH, rank: int | None = None
) -> Backbone:
    """`rank` is that of the process which goes wrong, where several share a job."""
    return Faulty(fault.replace("_", " "), trap, at, width, rank)


def liar(channels: int = WIDTH, stride: int = 16, dim: int = WIDTH) -> Backbone:
    """Declares shapes that are not those of its features."""
    backbone = faulty()
    backbone.channels, backbone.strides, backbone.dim = (channels,), (stride,), dim
    return backbone
