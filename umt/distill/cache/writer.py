"""Filling a cache: draw views, run teachers, write shards in a thread; an interruption costs two of them at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from filelock import Timeout
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from umt.data.loaders import worker_count, worker_errors
from umt.distill.cache.cache import (
    FORMATS,
    MANIFEST,
    SUM_BYTES,
    TARGET_PARTS,
    Manifest,
    cache_key,
    check_key,
    shard_bytes,
    shard_path,
)
from umt.distill.cache.pca import Bases, PcaRecord, write_bases
from umt.distill.cache.pca_fit import Extent, fit_bases, target_bytes
from umt.distill.distiller import as_floats
from umt.distill.images import VIEW_NUMBERS, ViewImages
from umt.distill.ingredients import Prepared
from umt.distill.spaces.shapes import SpaceShape, Targets
from umt.distill.teachers.teacher import Teacher, all_targets
from umt.errors import CacheError, WriteError
from umt.feature_cache.disk_cache import locked, shortage
from umt.features import DTYPES
from umt.files import atomic_file, writable_folder
from umt.host_copies import on_host
from umt.training.precision import pick_precision

Report = Callable[[int, int], None]  # items done, items in all
Batch = dict[str, Tensor]
SHARD_BYTES = 256e6  # enough for long reads and writes; an interruption costs one file
SHARD_VIEWS = 4096  # limit for small views, so that an interruption costs no more of the teachers' time
SAMPLE_VIEWS = 4096  # that bases are fitted on
SAMPLE_CELLS = 8  # of the map of each such view
VIEW_BYTES = 4 * VIEW_NUMBERS + 8 + 2 * SUM_BYTES


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
    prepared: Prepared,
    teachers: Sequence[Teacher],
    folder: Path,
    visits: int,
    shard: int,
    pixels: bool,
    stored_as: str = FORMATS[0],
) -> Manifest:
    """Return the manifest of a cache, new or begun before; UMTError if the folder holds another cache."""
    for teacher in teachers:
        if teacher.spec.mosaic > 1:
            raise CacheError(
                f"teacher '{teacher.name}': mosaic is {teacher.spec.mosaic}, so its targets depend on the views beside "
                "each and cannot be stored; distil without --targets, or take mosaic 1"
            )
    key = cache_key(prepared.recipe, prepared.images, teachers, visits, pixels=pixels, stored_as=stored_as)
    shapes = tuple(SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers)
    if (folder / MANIFEST).is_file():
        manifest = Manifest.read(folder)
        check_key(folder, manifest.key, key)
        return manifest
    return Manifest(key, shapes, visits, shard, prepared.recipe.seed)


def size_of_view(teachers: Sequence[Teacher], pixels: int | None, stored_as: str = FORMATS[0]) -> Size:
    """Return the size of one view: its targets, numbers, checksums, and its pixels if stored (`pixels` a side).

    Components are not known before they are fitted, so their size is the one that they must not exceed.
    """
    extents = target_extents(teachers)
    if stored_as == FORMATS[0]:
        tensors = {name: 2 * width * cells + SUM_BYTES for name, (width, cells) in extents.items()}
        parts = {
            f"teacher {teacher.name}": sum(tensors[f"{teacher.name}.{part}"] for part in TARGET_PARTS)
            for teacher in teachers
        }
    else:
        parts = {"teachers": component_bytes(extents) + SUM_BYTES * len(extents)}
    parts["views"] = VIEW_BYTES
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
    """Write the missing shards, with the teachers in the recipe's precision, while the teachers go on."""
    writable_folder(folder, "--out")
    precision = pick_precision(prepared.recipe.training.precision, device)
    for teacher in teachers:
        teacher.to(device)
    autocast = torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")
    with _alone(folder), autocast, worker_errors():
        manifest = _begin(teachers, manifest, views, folder, device, batch)
        bases = {name: basis.to(device) for name, basis in manifest.bases(folder).items()}
        missing = manifest.missing(folder)
        loaded = _loader(manifest, views, missing, batch, pinned=device.type == "cuda")
        rows = on_host(_rows(loaded_batch, teachers, manifest, device, bases) for loaded_batch in loaded)
        done = manifest.items() - sum(len(manifest.items_of(number)) for number in missing)
        with _in_thread(_write) as write:
            for number in missing:
                parts = []
                for part in islice(rows, len(_batches(manifest.items_of(number), batch))):
                    parts.append(part)
                    done += len(part[0])
                    report(done, manifest.items())
                write(folder, number, manifest, prepared, parts)


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
    return _batched(manifest, views, batches, pinned=pinned)


def _batched(manifest: Manifest, views: ViewImages, batches: Sequence[list[int]], *, pinned: bool) -> Iterator[Batch]:
    """Load batches of items."""
    workers = worker_count(sum(map(len, batches)))
    return iter(
        DataLoader(_Items(views, manifest.visits), batch_sampler=list(batches), num_workers=workers, pin_memory=pinned)
    )


def _batches(items: range, batch: int) -> list[list[int]]:
    return [list(items[first : first + batch]) for first in range(0, len(items), batch)]


def _begin(
    teachers: Sequence[Teacher], manifest: Manifest, views: ViewImages, folder: Path, device: torch.device, batch: int
) -> Manifest:
    """Write the manifest of a new cache, and first its bases, if its format has them; return what was written."""
    if (folder / MANIFEST).is_file():
        return Manifest.read(folder)  # its bases may have been fitted since the plan
    if manifest.format != FORMATS[0]:
        extents = target_extents(teachers)
        samples = sample_targets(teachers, manifest, views, device, batch)
        bases, errors = fit_bases(samples, extents, component_bytes(extents))
        manifest = replace(manifest, pca=PcaRecord(write_bases(folder, bases), errors))
    manifest.write(folder)
    return manifest


def sample_targets(
    teachers: Sequence[Teacher], manifest: Manifest, views: ViewImages, device: torch.device, batch: int
) -> dict[str, Tensor]:
    """Return targets [views, vectors, C] of views that are spread over all images; of each map a few random cells."""
    generator, count = torch.Generator().manual_seed(0), min(SAMPLE_VIEWS, manifest.items())
    items = [index * manifest.items() // count for index in range(count)]
    batches = [items[first : first + batch] for first in range(0, count, batch)]
    vectors: dict[str, list[Tensor]] = {name: [] for name in target_extents(teachers)}
    for loaded_batch in _batched(manifest, views, batches, pinned=False):
        for name, values in _tensors(all_targets(teachers, as_floats(loaded_batch["pixels"].to(device)))).items():
            flat = values.flatten(2) if values.ndim > 2 else values[..., None]
            cells = torch.randperm(flat.shape[2], generator=generator)[:SAMPLE_CELLS]
            vectors[name].append(flat[..., cells.to(device)].transpose(1, 2).float().cpu())
    return {name: torch.cat(parts) for name, parts in vectors.items()}


@contextmanager
def _in_thread(function: Callable[..., None]) -> Iterator[Callable[..., None]]:
    """Yield a function that runs `function` in a thread; it first waits for the call before, and raises its error."""
    running: list[Future[None]] = []

    def start(*arguments: object) -> None:
        while running:
            running.pop().result()
        running.append(pool.submit(function, *arguments))

    with ThreadPoolExecutor(1) as pool:
        yield start
        for call in running:
            call.result()


def _rows(
    loaded_batch: Batch, teachers: Sequence[Teacher], manifest: Manifest, device: torch.device, bases: Bases
) -> list[Tensor]:
    """Return columns of a shard for a batch of views: loaded values, targets, and if fp16 can hold each."""
    targets = _tensors(all_targets(teachers, as_floats(loaded_batch["pixels"].to(device, non_blocking=True))))
    halves = {name: values.half() for name, values in targets.items()}
    stored = [bases[name].encode(targets[name]) if bases else values for name, values in halves.items()]
    is_held = [values.flatten(1).isfinite().all(dim=1) for values in halves.values()]
    return [*(loaded_batch[name] for name in _loaded_names(manifest)), *stored, *is_held]


def _write(
    folder: Path, number: int, manifest: Manifest, prepared: Prepared, parts: Sequence[Sequence[Tensor]]
) -> None:
    """Write a shard; UMTError names the teacher and the image if fp16 cannot hold the values."""
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    loaded = _loaded_names(manifest)
    names = [f"{shape.name}.{part}" for shape in manifest.shapes for part in TARGET_PARTS]
    tensors = dict(zip([*loaded, *names], columns, strict=False))
    for name, is_held in zip(names, columns[len(tensors) :], strict=True):
        if not is_held.all():
            path = prepared.images.path(int(tensors["shown"][~is_held][0]))
            raise CacheError(
                f"teacher '{name.rpartition('.')[0]}': its features of {path} do not fit into fp16; leave it out of "
                "the cache's recipe"
            )
    with atomic_file(shard_path(folder, number)) as handle:
        handle.write(shard_bytes(tensors, manifest.mark))


def _loaded_names(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of what a shard holds of each view beside its targets."""
    return ("pixels", "view", "shown") if manifest.key["pixels"] else ("view", "shown")


def _tensors(targets: Mapping[str, Targets]) -> dict[str, Tensor]:
    """Return targets by the names that they have in a shard."""
    return {f"{name}.{part}": getattr(values, part) for name, values in targets.items() for part in TARGET_PARTS}


def target_extents(teachers: Sequence[Teacher]) -> dict[str, Extent]:
    """Return the channels and cells of all targets."""
    extents: dict[str, Extent] = {}
    for teacher in teachers:
        (summary, features), (rows, columns) = teacher.widths(), teacher.grid
        extents[f"{teacher.name}.summary"] = summary, 1
        extents[f"{teacher.name}.features"] = features, 1 if teacher.feature_loss.pooled else rows * columns
    return extents


def component_bytes(extents: Mapping[str, Extent]) -> int:
    """Return the bytes for the components of all targets; the space that a view takes beside them counts, too."""
    return target_bytes(extents, SUM_BYTES * len(extents) + VIEW_BYTES)
