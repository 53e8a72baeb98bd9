"""Fixtures of the data tests: real data where there is some, small sets in the official layouts where not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from umt.data.mini import mini_versions

LESS = {  # instead of the counts of sets outside the example
    200: 20,
    (8, 4): (1, 1),
    (32, 12): (2, 1),
    (2, 2, 6): (2, 2, 2),
    (3, 8): (1, 5),
    (3, 4): (1, 2),
}


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of genuine samples of the public data sets."""
    if not (folder := os.environ.get("UMT_REAL_DATA")):
        pytest.skip("UMT_REAL_DATA is not set: no genuine data here")
    return Path(folder)


@pytest.fixture
def make_image() -> Callable[..., Path]:
    """Writes an image of random colours, its folders included."""

    def make(path: Path, size: tuple[int, int] = (12, 8)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(path.name)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_size() -> dict[str, Any]:
    """The embedded data at its smallest that every layout admits."""
    return {
        "imagenet": 60,
        "aircraft": (1, 1, 1),
        "caltech101": 1,
        "cub": (1, 1),
        "ade20k": (2, 1),
        "nyuv2": ((1, 1), (1, 1)),
        **{name: LESS[version.counts] for name, version in mini_versions().items() if not version.example},
    }
