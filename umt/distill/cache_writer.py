"""Filling a cache: views drawn, teachers run, shards written one at a time so that an interruption costs one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from umt.data.loaders import worker_count, worker_errors
from umt.distill.cache import MANIFEST, Manifest, cache_key, check_key, shard_path
from umt.distill.distiller import as_floats
from umt.distill.images import ViewImages
from umt.distill.options import Prepared
from umt.distill.spaces import Grid, SpaceShape
from umt.distill.teachers import Targets, Teacher, all_targets
from umt.distill.views import NUMBERS, render
from umt.errors import UMTError
from umt.files import atomic_file

Report = Callable[[int, int], None]  # items done, items in all


@dataclass(frozen=True)
class Size:
    """Bytes of a cache, by what takes them."""

    parts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


def estimate(manifest: Manifest, teachers: Sequence[Teacher], view_size: int, grid: Grid) -> Size:
    """What the cache will take: fp16 targets, the numbers of the views, and pixels where they are kept."""
    items, cells = manifest.items(), grid[0] * grid[1]
    parts = {
        f"teacher {teacher.name}": 2
        * items
        * (shape.summary + shape.features * (1 if teacher.feature_loss.pooled else cells))
        for teacher, shape in zip(teachers, manifest.shapes, strict=True)
    }
    parts["views"] = items * (4 * NUMBERS + 8)
    if manifest.key["pixels"]:
        parts["pixels"] = items * 3 * view_size**2
    return Size(parts)


def plan_cache(
    prepared: Prepared, teachers: Sequence[Teacher], folder: Path, visits: int, shard: int, pixels: bool
) -> Manifest:
    """The manifest of a cache, new or begun before; UMTError where the folder holds another one."""
    key = cache_key(prepared.recipe, prepared.images, teachers, visits, pixels=pixels)
    shapes = tuple(SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers)
    if (folder / MANIFEST).is_file():
        manifest = Manifest.read(folder)
        check_key(folder, manifest, key)
        return manifest
    return Manifest(key, shapes, visits, shard, prepared.recipe.seed)


def check_room(folder: Path, size: Size) -> int:
    """Free bytes where the cache goes; UMTError where that is less than it takes."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    taken = sum(path.stat().st_size for path in folder.glob("shard-*")) if folder.is_dir() else 0
    if size.total - taken > free:
        raise UMTError(
            f"{folder}: the cache takes {size.total / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; make room, "
            "lower --views, or give another --out"
        )
    return free


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
    """Write the shards that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write(folder)
    for teacher in teachers:
        teacher.to(device)
    for number in range(manifest.shards()):
        first, last = number * manifest.shard, min((number + 1) * manifest.shard, manifest.items())
        if not shard_path(folder, number).is_file():
            items = _Items(views, manifest, range(first, last))
            parts = [_rows(batch_, teachers, device, manifest, prepared) for batch_ in _batches(items, batch)]
            tensors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            with atomic_file(shard_path(folder, number)) as handle:
                handle.write(save(tensors))
        report(last, manifest.items())


class _Items(Dataset[dict[str, Tensor]]):
    """Views by item number, with what names them."""

    def __init__(self, views: ViewImages, manifest: Manifest, numbers: range) -> None:
        self.views, self.manifest, self.numbers = views, manifest, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        index, visit = divmod(self.numbers[place], self.manifest.visits)
        image, view, shown = self.views.draw(index, visit)
        return {
            "pixels": render(view, image, self.views.spec.size),
            "view": torch.tensor(view.numbers(), dtype=torch.float32),
            "shown": torch.tensor(shown),
        }


def _batches(items: _Items, batch: int) -> Iterator[dict[str, Tensor]]:
    with worker_errors():
        yield from DataLoader(items, batch, num_workers=worker_count(len(items)))


def _rows(
    drawn: dict[str, Tensor], teachers: Sequence[Teacher], device: torch.device, manifest: Manifest, prepared: Prepared
) -> dict[str, Tensor]:
    """What a shard keeps of a batch of views."""
    targets = all_targets(teachers, as_floats(drawn["pixels"].to(device)))
    rows: dict[str, Any] = dict(drawn) if manifest.key["pixels"] else {name: drawn[name] for name in ("view", "shown")}
    for name, asked in targets.items():
        rows[f"{name}.summary"], rows[f"{name}.features"] = _halves(name, asked, drawn["shown"], prepared)
    return rows


def _halves(name: str, asked: Targets, shown: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
    """In fp16; UMTError names the teacher and the image whose values it cannot hold."""
    halves = [value.half().cpu() for value in (asked.summary, asked.features)]
    for half in halves:
        bad = ~half.flatten(1).isfinite().all(dim=1)
        if bad.any():
            path = prepared.images.path(int(shown[bad.nonzero()[0]]))
            raise UMTError(
                f"teacher '{name}': its features of {path} do not fit into fp16; leave it out of the cache's recipe"
            )
    return halves[0], halves[1]
