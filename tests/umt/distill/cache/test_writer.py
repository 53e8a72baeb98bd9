"""A cache on a disk that fills up: what was finished stays, and the same command goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from PIL import Image

from umt.data.image_list import find_images
from umt.distill.cache import writer as cache_writer
from umt.distill.cache.cache import Manifest
from umt.distill.cache.writer import fill, plan_cache
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared, build_student, grid_of
from umt.distill.recipe import DistillRecipe
from umt.errors import UMTError
from umt.files import atomic_file


@pytest.fixture
def write(recipe: Callable[..., DistillRecipe], tmp_path: Path) -> Callable[[Path], Manifest]:
    """Fills a folder with a cache of three shards."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(6):
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(
            pictures / f"{index}.png"
        )
    made = recipe()
    student = build_student(made)
    prepared = Prepared(made, find_images(pictures), student, grid_of(student, made.views.size), tmp_path)
    teachers = prepared.teachers()

    def write(folder: Path) -> Manifest:
        manifest = plan_cache(prepared, teachers, folder, visits=1, shard=2, pixels=False)
        views = ViewImages(prepared.images, made.views, made.seed, Skipped(folder / "skipped.txt", 6))
        fill(prepared, teachers, manifest, views, folder, torch.device("cpu"), 2, lambda done, total: None)
        return manifest

    return write


def test_a_full_disk_keeps_what_was_finished(
    write: Callable[[Path], Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full(path: Path) -> Iterator[IO[bytes]]:
        with atomic_file(path) as handle:
            yield handle
            if path.name == "shard-00001.safetensors":
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_writer, "atomic_file", full)
    with pytest.raises(UMTError, match=r"shard-00001.safetensors: cannot be written \(No space left on device\)"):
        write(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").glob("*shard-*")] == ["shard-00000.safetensors"]
    assert not list((tmp_path / "cache").glob(".partial-*"))
    monkeypatch.undo()
    first = (tmp_path / "cache" / "shard-00000.safetensors").stat().st_mtime_ns
    assert write(tmp_path / "cache").missing(tmp_path / "cache") == []
    assert (tmp_path / "cache" / "shard-00000.safetensors").stat().st_mtime_ns == first
