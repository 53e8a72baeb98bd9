"""Cached teachers: views as they were drawn, and each teacher's targets for them, in sharded safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import Dataset

from umt.data.image_list import ImageList
from umt.declarations import build, read_json
from umt.distill.cache.pca import PCA, Bases, PcaRecord, read_bases
from umt.distill.images import Skipped, View, circle, decode_view, nothing_left
from umt.distill.ingredients import Prepared
from umt.distill.recipe import DistillRecipe, differences
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher
from umt.errors import CacheError, UMTError, first_line, unknown_name
from umt.feature_cache.disk_cache import Key, checksum, digest, plain_key
from umt.files import atomic_file, open_plain, utf8_name
from umt.text import brief

SCHEMA = 3
FORMATS = ("fp16", PCA)
MAX_VISITS = 1 << 20  # views of an image
MAX_IMAGES = 1 << 40
MAX_SHARD = 1 << 24  # items in a file
MAX_SHARDS = 1 << 22  # files; the reader looks for each of them
MANIFEST = "manifest.json"
SUMS = ".crc32"  # suffix of a tensor's name for its checksums
SUM_BYTES = 8  # bytes of a checksum
TARGET_PARTS = ("summary", "features")
REMEDY = "remove it if it is there, and run the same `umt teachers cache` again, which makes what is missing"


@dataclass(frozen=True)
class Manifest:
    """The content of a cache; `key` holds the plain values that decide it."""

    key: Key
    shapes: tuple[SpaceShape, ...]
    visits: int  # views of each image
    shard: int  # items in a shard; item = image * visits + visit
    seed: int  # seed that the views were drawn from; a student may have another seed
    pca: PcaRecord | None = None  # of the format pca, as soon as its bases are fitted

    def __post_init__(self) -> None:
        teachers = self.key.get("teachers")
        if not isinstance(teachers, Mapping) or set(teachers) != {shape.name for shape in self.shapes}:
            raise CacheError("fields 'shapes' and 'key.teachers' name different spaces")
        if self.format not in FORMATS:
            raise unknown_name("key.format", self.format, FORMATS)
        for name, value, limit in (
            ("visits", self.visits, MAX_VISITS),
            ("shard", self.shard, MAX_SHARD),
            ("key.images.count", self._images(), MAX_IMAGES),
        ):
            if not isinstance(value, int) or not 1 <= value <= limit:
                raise CacheError(f"field '{name}' is {brief(value)}, expected 1 to {limit:,}")
        if self.shards() > MAX_SHARDS:
            raise CacheError(
                f"fields 'visits' and 'shard' make {self.shards():,} shards, at most {MAX_SHARDS:,} are read"
            )

    def items(self) -> int:
        return int(self._images()) * self.visits

    def shards(self) -> int:
        return -(-self.items() // self.shard)

    def items_of(self, shard: int) -> range:
        return range(shard * self.shard, min((shard + 1) * self.shard, self.items()))

    @property
    def format(self) -> str:
        return str(self.key.get("format", FORMATS[0]))

    def bases(self, folder: Path) -> Bases:
        """Read the bases of the format pca; none for fp16. Raises UMTError if they are damaged."""
        if self.format == FORMATS[0]:
            return {}
        if self.pca is None:
            raise CacheError(f"{folder / MANIFEST}: field 'pca' is missing; remove {folder} and make the cache again")
        widths = {
            f"{shape.name}.{part}": width
            for shape in self.shapes
            for part, width in zip(TARGET_PARTS, (shape.summary, shape.features), strict=True)
        }
        return read_bases(folder, self.pca, widths)

    def missing(self, folder: Path) -> list[int]:
        """Return the numbers of the shards that have not been written yet."""
        return [number for number in range(self.shards()) if not shard_path(folder, number).is_file()]

    @property
    def mark(self) -> str:
        """The sixteen hex digits that every shard carries, so that a shard of another cache is recognised."""
        return digest(self._record(), 16)

    def write(self, folder: Path) -> None:
        with atomic_file(folder / MANIFEST) as handle:
            handle.write((json.dumps(self._record(), indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a cache; UMTError if it is missing or damaged."""
        path = folder / MANIFEST
        try:
            return build(cls, read_json(path, "the manifest of a cache", "make it again"), path)
        except FileNotFoundError:
            raise CacheError(f"{path}: no cache there; make one with `umt teachers cache --out {folder}`") from None
        except UMTError as error:
            raise CacheError(f"{path}: damaged ({error}); remove {folder} and make the cache again") from error

    def _images(self) -> Any:
        images = self.key.get("images")
        return images.get("count") if isinstance(images, Mapping) else None

    def _record(self) -> dict[str, Any]:
        record = {**asdict(self), "key": dict(self.key)}
        if self.pca is None:
            del record["pca"]  # so that the marks of caches without it stay
        return record


def shard_bytes(tensors: Mapping[str, Tensor], mark: str) -> bytes:
    """Return the file of a shard of these tensors [rows, ...], which carries the mark of its cache."""
    sums = {f"{name}{SUMS}": torch.tensor([_row_checksum(row) for row in tensor]) for name, tensor in tensors.items()}
    return save({**tensors, **sums}, metadata={"mark": mark})


class Shard:
    """An open shard; UMTError for a file that is missing, truncated or of another cache, and for a damaged row."""

    def __init__(self, path: Path, mark: str) -> None:
        self.path = path
        try:
            with open_plain(path), utf8_name(path) as name:  # safetensors would follow a link, and wait for a pipe
                opened = safe_open(name, framework="pt")
            if (opened.metadata() or {}).get("mark") != mark:
                raise ValueError("it belongs to another cache")
            self.tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # mapped, not read
            self.is_checked = {name: bytearray(len(rows)) for name, rows in self.tensors.items()}
        except Exception as error:  # safetensors raises its own errors, the system others
            raise CacheError(f"{path}: cannot be read ({first_line(error)}); {REMEDY}") from error

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def row(self, name: str, index: int) -> Tensor:
        """Read a full row of a tensor; its checksum is compared once, because that takes longer than to read it."""
        try:
            row: Tensor = self.tensors[name][index]
            if self.is_checked[name][index]:
                return row
            written = int(self.tensors[f"{name}{SUMS}"][index])
        except Exception as error:  # there is no such tensor or row
            raise CacheError(f"{self.path}: has no row {index} of '{name}' ({first_line(error)}); {REMEDY}") from error
        if _row_checksum(row) != written:
            raise CacheError(
                f"{self.path}: row {index} of '{name}' is damaged, it does not match its checksum; {REMEDY}"
            )
        self.is_checked[name][index] = True
        return row


class CachedViews(Dataset[dict[str, Any]]):
    """`dataset[index, visit]`: the exact view that the targets belong to, and the targets; visits begin anew after K.

    Only the requested rows are read. If the cache holds pixels, no image is decoded; if an image could be decoded when
    the cache was made, and cannot now, the next item stands in for it.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        images: ImageList,
        size: int,
        skipped: Skipped,
        shapes: Sequence[SpaceShape] | None = None,
    ) -> None:
        """Open a cache; `shapes` selects its spaces and their order, all of them by default."""
        self.folder, self.manifest, self.images, self.size, self.skipped = folder, manifest, images, size, skipped
        self.shapes = tuple(shapes or manifest.shapes)
        self.bases = manifest.bases(folder)
        self.shards: dict[int, Shard] = {}

    @property
    def visits(self) -> int:
        return self.manifest.visits

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        index, visit = key
        for near in circle(index, len(self)):
            number, row = divmod(near * self.visits + visit % self.visits, self.manifest.shard)
            shard = self._shard(number)
            pixels = shard.row("pixels", row) if "pixels" in shard else self._decoded(shard, row)
            if pixels is not None:
                return {
                    "images": pixels,
                    "targets": {shape.name: self._targets(shard, shape.name, row) for shape in self.shapes},
                }
        raise nothing_left(self.images)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "shards": {}}  # open files stay with their process

    def _targets(self, shard: Shard, space: str, row: int) -> list[Tensor]:
        """Return summary and features of a view in fp16."""
        stored = {f"{space}.{part}": shard.row(f"{space}.{part}", row) for part in TARGET_PARTS}
        if not self.bases:
            return list(stored.values())
        try:
            return [self.bases[name].decode(codes[None])[0] for name, codes in stored.items()]
        except CacheError as error:
            raise CacheError(f"{shard.path}: row {row}: {error}; {REMEDY}") from error

    def _decoded(self, shard: Shard, row: int) -> Tensor | None:
        """Return the pixels of a view, None if its image cannot be decoded any more."""
        view, shown = View(*shard.row("view", row).tolist()), int(shard.row("shown", row))
        try:
            return decode_view(self.images.path(shown), lambda aspect: view, self.size)[0]
        except UMTError as error:
            self.skipped.add(error)
            return None

    def _shard(self, number: int) -> Shard:
        if number not in self.shards:
            self.shards[number] = Shard(shard_path(self.folder, number), self.manifest.mark)
        return self.shards[number]


def shard_path(folder: Path, number: int) -> Path:
    """Return the file of a shard."""
    return folder / f"shard-{number:05}.safetensors"


def open_cache(folder: Path, prepared: Prepared, skipped: Skipped) -> CachedViews:
    """Open the cache for a recipe, which may have fewer teachers than the cache.

    UMTError names the fields in which the cache belongs to another recipe, data or weights.
    """
    manifest = Manifest.read(folder)
    teachers = prepared.teachers()  # only for the hashes of their weights; the teachers are not kept
    names = [teacher.name for teacher in teachers]
    pixels = bool(manifest.key.get("pixels"))
    requested = cache_key(
        prepared.recipe, prepared.images, teachers, manifest.visits, pixels=pixels, stored_as=manifest.format
    )
    stored = {name: value for name, value in manifest.key.get("teachers", {}).items() if name in names}
    check_key(folder, {**manifest.key, "teachers": stored}, requested)
    missing = manifest.missing(folder)
    if missing:
        raise CacheError(
            f"{folder}: {len(missing)} of {manifest.shards()} shards are missing, first "
            f"{shard_path(folder, missing[0]).name}; run the same `umt teachers cache` again, which makes them"
        )
    by_name = {shape.name: shape for shape in manifest.shapes}
    shapes = [by_name[name] for name in names]
    return CachedViews(folder, manifest, prepared.images, prepared.recipe.views.size, skipped, shapes)


def cache_key(
    recipe: DistillRecipe,
    images: ImageList,
    teachers: Sequence[Teacher],
    visits: int,
    *,
    pixels: bool,
    stored_as: str = FORMATS[0],
) -> dict[str, Any]:
    """Return the plain values of everything that decides the content of a cache; `stored_as`: one of FORMATS."""
    key = {
        "schema": SCHEMA,
        "views": asdict(recipe.views),
        "visits": visits,
        "pixels": pixels,
        "precision": recipe.training.precision,
        "images": {"count": len(images), "fingerprint": images.fingerprint},
        "teachers": {teacher.name: _teacher_key(teacher) for teacher in teachers},
        **({} if stored_as == FORMATS[0] else {"format": stored_as}),  # keys of the first caches have none
    }
    return plain_key(key)


def check_key(folder: Path, stored: Key, requested: Key) -> None:
    """Compare the key of a cache with the requested one; UMTError if they differ."""
    changed = differences(dict(stored), dict(requested))
    if changed:
        raise CacheError(
            f"{folder}: this cache is for something else ({'; '.join(changed)}); give the cache's own recipe and data, "
            "or make another cache"
        )


def _teacher_key(teacher: Teacher) -> dict[str, Any]:
    other_map = {} if teacher.spec.map == -1 else {"map": teacher.spec.map}
    return other_map | {
        "backbone": teacher.spec.backbone,
        "weights": teacher.backbone.weights_hash(),
        "preprocess": asdict(teacher.backbone.preprocess),
        "kind": teacher.objective.name,  # the word of the first caches, which stay valid
        "pooled": teacher.feature_loss.pooled,
        "size": teacher.size,
        "grid": None if teacher.feature_loss.pooled else teacher.grid,
    }


def _row_checksum(row: Tensor) -> int:
    return checksum([row.reshape(-1).view(torch.uint8).numpy().data])
