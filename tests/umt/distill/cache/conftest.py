"""A recipe with stand-ins on a few pictures, and its cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from umt.data.image_list import find_images
from umt.distill.cache.cache import CachedViews, open_cache
from umt.distill.cache.writer import fill, plan_cache
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared, build_student
from umt.distill.recipe import DistillRecipe


@pytest.fixture
def prepare(recipe: Callable[..., DistillRecipe], tmp_path: Path) -> Callable[..., Prepared]:
    """Return the mini recipe with stand-ins, on nine pictures that are half as high again as they are wide."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(9):
        coarse = np.random.default_rng(index).integers(0, 256, (9, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 120), Image.Resampling.BICUBIC).save(folder / f"{index}.jpg")

    def make(*changes: str) -> Prepared:
        changed = recipe(*changes)
        student = build_student(changed)
        return Prepared(changed, find_images(folder), student, tmp_path)

    return make


@pytest.fixture
def cached(tmp_path: Path) -> Callable[..., CachedViews]:
    """Make and open the cache of a recipe."""

    def make(
        prepared: Prepared, folder: str = "cache", visits: int = 2, pixels: bool = False, stored_as: str = "fp16"
    ) -> CachedViews:
        out, teachers = tmp_path / folder, prepared.teachers()
        skipped = Skipped(tmp_path / "skipped.txt", len(prepared.images))
        manifest = plan_cache(prepared, teachers, out, visits, shard=5, pixels=pixels, stored_as=stored_as)
        views = ViewImages(prepared.images, prepared.recipe.views, prepared.recipe.seed, skipped)
        fill(prepared, teachers, manifest, views, out, torch.device("cpu"), 4, lambda done, total: None)
        return open_cache(out, prepared, skipped)

    return make


@pytest.fixture
def online(tmp_path: Path) -> Callable[[Prepared], ViewImages]:
    """Show the same images, without a cache."""

    def make(prepared: Prepared) -> ViewImages:
        return ViewImages(prepared.images, prepared.recipe.views, prepared.recipe.seed, Skipped(tmp_path / "no", 9))

    return make
