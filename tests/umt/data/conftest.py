"""Fixtures of the data tests: real data where there is some, small sets in the official layouts where not."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from umt.data.mini import mini_versions

LESS = {  # instead of the counts of sets outside the example
    200: 20,
    12: 3,
    (8, 4): (1, 1),
    (32, 12): (2, 1),
    (8, 3): (2, 1),
    (1, 4): (1, 1),
    (6, 3): (1, 1),
    (2, 2, 6): (2, 2, 2),
    (3, 8): (1, 5),
    (3, 4): (1, 2),
}
# As in ImageNet's devkit, the numbers are in another order than the ids, and inner nodes follow the classes.
SYNSETS = ((1, "n02119789", 0), (2, "n01440764", 0), (3, "n00001740", 2))


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
        **{
            name: LESS.get(version.counts, version.counts)
            for name, version in mini_versions().items()
            if not version.example
        },
    }


@pytest.fixture
def make_devkit() -> Callable[..., Path]:
    """Writes ImageNet's devkit, with the numbers of the validation images' classes and what they stand for."""

    def make(path: Path, truth: bytes, synsets: Sequence[tuple[int, str, int]] | bytes = SYNSETS) -> Path:
        meta = synsets if isinstance(synsets, bytes) else meta_mat(synsets)
        with tarfile.open(path, "w:gz") as tar:
            for name, content in {
                "readme.txt": b"",
                "data/ILSVRC2012_validation_ground_truth.txt": truth,
                "data/meta.mat": meta,
            }.items():
                member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return path

    return make


def meta_mat(synsets: Sequence[tuple[int, str, int]]) -> bytes:
    fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children")
    rows = [(float(number), wnid, "name", "gloss", float(children), 0.0) for number, wnid, children in synsets]
    out = io.BytesIO()
    savemat(out, {"synsets": np.array([[row] for row in rows], dtype=[(field, object) for field in fields])})
    return out.getvalue()
