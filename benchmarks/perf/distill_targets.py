"""Caches of teachers' targets: writing against the teachers alone, reading against mapped memory, and components."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from benchmarks.perf.ade_logits import real_data
from benchmarks.perf.distilling import DistillSetting, build_distiller, pictures
from benchmarks.perf.row import PerfRow, interleaved
from umt.data.image_list import ImageList, find_images
from umt.distill.cache.cache import FORMATS, TARGET_PARTS, CachedViews, shard_path
from umt.distill.cache.pca import Basis
from umt.distill.cache.pca_fit import HELD_OUT, fit_bases
from umt.distill.cache.writer import (
    component_bytes,
    fill,
    plan_cache,
    sample_targets,
    size_of_view,
    target_extents,
)
from umt.distill.distiller import Cached, Distiller, as_floats
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared, build_student
from umt.distill.recipe import load_recipe
from umt.distill.teachers.teacher import Teacher, all_targets

SHARDS = 4  # that are written
PASSES = 20  # over the cache that is read
TESTED = 64  # images that losses are taken on
FP16, PCA = FORMATS


def measure(device: torch.device) -> list[PerfRow]:
    """Measure seconds, bytes and losses; writing by the clock on the wall, because threads work side by side."""
    setting = DistillSetting.on(device)
    model = build_distiller(setting)
    with tempfile.TemporaryDirectory() as folder:
        images = pictures(Path(folder) / "pictures", SHARDS * setting.batch)
        rows = [writing_row(setting, model, images, Path(folder)), reading_row(setting, model, images, Path(folder))]
        return [*rows, size_row(model.teachers, setting.recipe.views.size), *loss_rows()]


def writing_row(setting: DistillSetting, model: Distiller, images: ImageList, folder: Path) -> PerfRow:
    """Compare the whole writing of a cache with loading and the teachers: at most 1.1 times as long."""
    cache_folders = (folder / f"written {number}" for number in count())
    views = _views(setting, images, folder)

    def teachers_alone() -> None:
        keys = [(index, 0) for index in range(len(images))]
        for batch in DataLoader(views, setting.batch, sampler=keys):
            with setting.autocast():
                all_targets(model.teachers, as_floats(batch["images"].to(setting.device)))
        if setting.device.type == "cuda":
            torch.cuda.synchronize(setting.device)

    def write() -> None:
        write_cache(setting, model, images, next(cache_folders))

    teachers_alone()
    theirs, ours = interleaved(teachers_alone, write, repeats=setting.repeats, clock=time.perf_counter)
    job = f"writing targets of {len(images)} views in {len(images) // setting.batch} shards, {setting.precision}"
    return PerfRow(job, "loading and teachers alone", theirs, ours, limit=1 / 1.1)


def reading_row(setting: DistillSetting, model: Distiller, images: ImageList, folder: Path) -> PerfRow:
    """Compare batches of stored views and targets with the same bytes copied from mapped files: at most 1.25."""
    views, rng = write_cache(setting, model, images, folder / "read", pixels=True), np.random.default_rng(0)
    keys = [int(index) for _ in range(PASSES) for index in rng.permutation(len(images))]

    def read() -> None:
        for index in keys:
            default_collate([views[index, 0]])

    copy_mapped = _mapped_reading(views, keys)
    started = time.process_time()
    for index in range(len(images)):
        default_collate([views[index, 0]])
    first = (time.process_time() - started) / len(images)
    theirs, ours = interleaved(copy_mapped, read, repeats=setting.repeats, clock=time.process_time)
    gigabytes = size_of_view(model.teachers, setting.recipe.views.size).total / 1e9  # with its pixels
    note = f"{gigabytes * len(keys) / ours:.2g} GB/s, with checksums {gigabytes / first:.2g} GB/s"
    return PerfRow("reading a stored view", "mapped memory", theirs / len(keys), ours / len(keys), 1 / 1.25, note)


def size_row(teachers: tuple[Teacher, ...], side: int) -> PerfRow:
    """Compare the bytes of a view in both formats."""
    theirs, ours = (size_of_view(teachers, None, stored_as).total for stored_as in FORMATS)
    job = f"targets of a view of {side} px, {len(teachers)} teachers, {PCA}"
    return PerfRow(job, FP16, theirs / 1e3, ours / 1e3, limit=6, unit="kB")


def loss_rows() -> list[PerfRow]:
    """Compare the loss of a new student on both formats of real teachers' targets; none without UMT_REAL_DATA."""
    data = real_data()
    if data is None:
        return []
    recipe = load_recipe("mini-cnn")
    images = find_images(data / "imagenet_1k_samples")
    student = build_student(recipe)
    prepared = Prepared(recipe, images, student, data / "weights")
    return [loss_row(prepared)]


def loss_row(prepared: Prepared) -> PerfRow:
    """Compare on images that no component was fitted on; the note has the angle between the gradients, too."""
    recipe, teachers, device = prepared.recipe, prepared.teachers(), torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        views = ViewImages(prepared.images, recipe.views, recipe.seed, Skipped(Path(folder) / "skipped.txt", 1))
        manifest = plan_cache(prepared, teachers, Path(folder), visits=1, shard=1, pixels=False, stored_as=PCA)
        samples = sample_targets(teachers, manifest, views, device, batch=32)
        extents = target_extents(teachers)
        bases, errors = fit_bases(samples, extents, component_bytes(extents))
        indices = range(HELD_OUT - 1, len(views), HELD_OUT)[:TESTED]
        pixels = torch.stack([views.draw(index, 0)[0] for index in indices])
    targets = all_targets(teachers, as_floats(pixels))
    exact = {name: (values.summary, values.features) for name, values in targets.items()}
    coded = {name: [_coded(bases[f"{name}.{part}"], getattr(values, part)) for part in TARGET_PARTS]
             for name, values in targets.items()}  # fmt: skip
    model = Distiller(recipe, prepared.student, manifest.shapes).train()
    (theirs, expected), (ours, gradient) = (_loss_and_gradient(model, pixels, values) for values in (exact, coded))
    note = (
        f"gradients' cosine {float(torch.cosine_similarity(expected, gradient, dim=0)):.5f}; squared errors "
        + ", ".join(f"{name} {error:.1%}" for name, error in errors.items())
    )
    job = f"loss of a new student, {len(pixels)} images, recipe {recipe.name}, {PCA}"
    return PerfRow(job, FP16, theirs, ours, limit=0.98, note=note, unit="")


def _coded(basis: Basis, values: Tensor) -> Tensor:
    return basis.decode(basis.encode(values)).float()


def _loss_and_gradient(model: Distiller, pixels: Tensor, targets: Cached) -> tuple[float, Tensor]:
    """Return the loss, and its gradient for the student's weights."""
    loss = model(pixels, targets)["loss"]
    gradients = torch.autograd.grad(loss, list(model.student.parameters()))
    return float(loss.detach()), torch.cat([gradient.flatten() for gradient in gradients])


def write_cache(
    setting: DistillSetting, model: Distiller, images: ImageList, folder: Path, *, pixels: bool = False
) -> CachedViews:
    """Make a cache of one view of each image."""
    recipe, views = setting.recipe, _views(setting, images, folder.parent)
    prepared = Prepared(recipe, images, model.student, folder)
    manifest = plan_cache(prepared, model.teachers, folder, visits=1, shard=setting.batch, pixels=pixels)
    fill(prepared, model.teachers, manifest, views, folder, setting.device, setting.batch, lambda done, total: None)
    return CachedViews(folder, manifest, images, recipe.views.size, views.skipped)


def _views(setting: DistillSetting, images: ImageList, folder: Path) -> ViewImages:
    return ViewImages(images, setting.recipe.views, setting.recipe.seed, Skipped(folder / "skipped.txt", len(images)))


def _mapped_reading(views: CachedViews, indices: Sequence[int]) -> Callable[[], None]:
    """Return a function that copies the same rows out of files that are mapped into memory, and checks nothing."""
    names = ["pixels", *(f"{shape.name}.{part}" for shape in views.shapes for part in TARGET_PARTS)]
    files = [safe_open(shard_path(views.folder, number), "pt") for number in range(views.manifest.shards())]
    shards = [[file.get_tensor(name) for name in names] for file in files]

    def read() -> None:
        for index in indices:
            number, row = divmod(index, views.manifest.shard)
            default_collate([[tensor[row] for tensor in shards[number]]])

    return read
