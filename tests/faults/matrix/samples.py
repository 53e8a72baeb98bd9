"""Sound files that several doors take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.results import Data, Environment, Key, Result

OWN_NAME = "its name is chosen by the program or the data set"


def picture(path: Path, seed: int = 0, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def a_result(backbone: str) -> Result:
    return Result(
        key=Key(backbone, "ab" * 32, "knn", "cub", "paper", "0123456789ab", "fedcba9876543210", seed=0),
        spec="timm:resnet50",
        architecture="resnet50",
        suite="é",
        protocol_version=1,
        metrics={"top1": 80.5},
        units={"top1": "%"},
        lower_is_better=[],
        data=Data("CUB-200-2011", "", True, {"train": 5994, "test": 5794}, "data/CUB_200_2011"),
        environment=Environment("c0ffee", False, {"torch": "2.14"}, "cpu", "3.11", "2026-01-01T00:00:00+00:00"),
        wall_seconds=1.5,
    )
