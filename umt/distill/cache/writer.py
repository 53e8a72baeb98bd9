"""Filling a cache: draw views, run teachers, write one shard at a time, so that an interruption costs one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from filelock import Timeout
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from umt.data.loaders import worker_count, worker_errors
from umt.distill.cache.cache import (
    MANIFEST,
    SUM_BYTES,
    Manifest,
    cache_key,
    check_key,
    shard_bytes,
    shard_path,
)
from umt.distill.distiller import as_floats
from umt.distill.images import VIEW_NUMBERS, ViewImages
from umt.distill.ingredients import Prepared
from umt.distill.spaces.shapes import SpaceShape, Targets
from umt.distill.teachers.teacher import Teacher, all_targets
from umt.errors import CacheError, WriteError
from umt.feature_cache.disk_cache import locked, shortage
from umt.features import DTYPES
from umt.files import atomic_file, writable_folder
from umt.training.precision import pick_precision

Report = Callable[[int, int], None]  # items done, items in all
Batch = dict[str, Tensor]
SHARD_BYTES = 256e6  # enough for long reads and writes; an interruption costs one file
SHARD_VIEWS = 4096  # limit for small views, so that an interruption costs no more of the teachers' time


@dataclass(frozen=True)
class Size:
    """Bytes of a cache, by the parts that take them."""

    parts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def times(self, count: int) -> Size:
        return Size({name: part_bytes * count for name, part_bytes in self.parts.items()})

    def shard(self) -> int:
        """Return the number of views in a shard, if this is the size of one view."""
        return min(SHARD_VIEWS, max(1, round(SHARD_BYTES / self.total)))


def plan_cache(
    prepared: Prepared, teachers: Sequence[Teacher], folder: Path, visits: int, shard: int, pixels: bool
) -> Manifest:
    """Return the manifest of a cache, new or begun before; UMTError if the folder holds another cache."""
    key = cache_key(prepared.recipe, prepared.images, teachers, visits, pixels=pixels)
    shapes = tuple(SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers)
    if (folder / MANIFEST).is_file():
        manifest = Manifest.read(folder)
        check_key(folder, manifest.key, key)
        return manifest
    return Manifest(key, shapes, visits, shard, prepared.recipe.seed)


def size_of_view(teachers: Sequence[Teacher], pixels: int | None) -> Size:
    """Return the size of one view: fp16 targets, its numbers, checksums, and its pixels if stored (`pixels` a side)."""
    parts = {f"teacher {teacher.name}": 2 * sum(_values(teacher)) + 2 * SUM_BYTES for teacher in teachers}
    parts["views"] = 4 * VIEW_NUMBERS + 8 + 2 * SUM_BYTES
    if pixels:
        parts["pixels"] = 3 * pixels**2 + SUM_BYTES
    return Size(parts)


def check_room(folder: Path, size: Size) -> None:
    """Check the free disk space of the cache's folder, less the shards already there; UMTError if it is too small."""
    existing = sum(path.lstat().st_size for path in folder.glob("shard-*"))
    lacking = shortage(folder, size.total - existing)
    if lacking:
        raise WriteError(f"{folder}: the cache {lacking}; make room, lower --views, or give another --out")


def fill(
    prepared: Prepared,
    teachers: Sequence[Teacher],
    manifest: Manifest,
    views: ViewImages,
    folder: Path,
    device: torch.device,
    batch: int,
    report: Report,
) -> None:
    """Write the missing shards, with the teachers in the recipe's precision."""
    writable_folder(folder, "--out")
    precision = pick_precision(prepared.recipe.training.precision, device)
    for teacher in teachers:
        teacher.to(device)
    with _alone(folder), torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"):
        manifest.write(folder)
        missing = manifest.missing(folder)
        loaded = _loader(manifest, views, missing, batch, pinned=device.type == "cuda")
        done = manifest.items() - sum(len(manifest.items_of(number)) for number in missing)
        with worker_errors():
            for number in missing:
                parts = []
                for loaded_batch in islice(loaded, len(_batches(manifest.items_of(number), batch))):
                    parts.append(_rows(loaded_batch, teachers, device, manifest, prepared))
                    done += len(loaded_batch["shown"])
                    report(done, manifest.items())
                _write(folder, number, manifest, parts)


class _Items(Dataset[Batch]):
    """Views by item number, each with its numbers and the index of its image."""

    def __init__(self, views: ViewImages, visits: int) -> None:
        self.views, self.visits = views, visits

    def __getitem__(self, item: int) -> Batch:
        pixels, view, shown = self.views.draw(*divmod(item, self.visits))
        numbers = torch.tensor(view.numbers(), dtype=torch.float32)
        return {"pixels": pixels, "view": numbers, "shown": torch.tensor(shown)}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the cache for this process, and remove the half-written files of a killed process."""
    try:
        with locked(folder / ".lock", "--out", timeout=0):
            for path in folder.glob(".partial-*"):
                path.unlink()
            yield
    except Timeout:
        raise CacheError(f"{folder}: another process is filling this cache; wait for it, or stop it") from None


def _loader(
    manifest: Manifest, views: ViewImages, shards: Sequence[int], batch: int, *, pinned: bool
) -> Iterator[Batch]:
    """Load batches of these shards; no batch reaches over the end of its shard."""
    batches = [part for number in shards for part in _batches(manifest.items_of(number), batch)]
    workers = worker_count(sum(map(len, batches)))
    return iter(
        DataLoader(_Items(views, manifest.visits), batch_sampler=batches, num_workers=workers, pin_memory=pinned)
    )


def _batches(items: range, batch: int) -> list[list[int]]:
    return [list(items[first : first + batch]) for first in range(0, len(items), batch)]


def _write(folder: Path, number: int, manifest: Manifest, parts: Sequence[Batch]) -> None:
    tensors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    with atomic_file(shard_path(folder, number)) as handle:
        handle.write(shard_bytes(tensors, manifest.mark))


def _rows(
    loaded_batch: Batch, teachers: Sequence[Teacher], device: torch.device, manifest: Manifest, prepared: Prepared
) -> Batch:
    """Return the rows of a shard for a batch of views."""
    targets = all_targets(teachers, as_floats(loaded_batch["pixels"].to(device, non_blocking=True)))
    names = ("pixels", "view", "shown") if manifest.key["pixels"] else ("view", "shown")
    rows = {name: loaded_batch[name] for name in names}
    for name, values in targets.items():
        rows[f"{name}.summary"], rows[f"{name}.features"] = _halves(name, values, loaded_batch["shown"], prepared)
    return rows


def _halves(name: str, targets: Targets, shown: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
    """Convert targets to fp16; UMTError names the teacher and the image if fp16 cannot hold the values."""
    summary, features = targets.summary.half().cpu(), targets.features.half().cpu()
    for half in (summary, features):
        not_finite = ~half.flatten(1).isfinite().all(dim=1)
        if not_finite.any():
            path = prepared.images.path(int(shown[not_finite][0]))
            raise CacheError(
                f"teacher '{name}': its features of {path} do not fit into fp16; leave it out of the cache's recipe"
            )
    return summary, features


def _values(teacher: Teacher) -> tuple[int, int]:
    """Return the number of values in the summary and in the features of a view."""
    summary, features = teacher.widths()
    rows, columns = (1, 1) if teacher.feature_loss.pooled else teacher.grid
    return summary, features * rows * columns
