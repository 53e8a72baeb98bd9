"""Cached teachers: views as they were drawn, and what each teacher asked for on them, in sharded safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import safe_open
from torch import Tensor
from torch.utils.data import Dataset

from umt.distill.images import ImageList, Skipped, decode_or_next
from umt.distill.options import Prepared
from umt.distill.recipe import DistillRecipe, differences
from umt.distill.spaces import SpaceShape
from umt.distill.teachers import Teacher
from umt.distill.views import View, render
from umt.errors import UMTError

SCHEMA = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a cache holds: `key` are the plain values that decide its content."""

    key: Mapping[str, Any]
    shapes: tuple[SpaceShape, ...]
    visits: int  # views of each image
    shard: int  # items in a shard; item = image * visits + visit
    seed: int  # that the views were drawn from; a student may have another one

    def items(self) -> int:
        return int(self.key["images"]["count"]) * self.visits

    def shards(self) -> int:
        return -(-self.items() // self.shard)

    def write(self, folder: Path) -> None:
        record = {**asdict(self), "key": dict(self.key)}
        (folder / MANIFEST).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """UMTError where there is none, or it is damaged."""
        path = folder / MANIFEST
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            shapes = tuple(SpaceShape(**shape) for shape in record["shapes"])
            return cls(record["key"], shapes, record["visits"], record["shard"], record["seed"])
        except FileNotFoundError:
            raise UMTError(f"{path}: no cache there; make one with `umt teachers cache --out {folder}`") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UMTError(f"{path}: damaged ({error}); remove {folder} and make the cache again") from error


class CachedViews(Dataset[dict[str, Any]]):
    """`dataset[index, visit]`: exactly the view that the targets belong to, and the targets; visits begin anew after K.

    Only the rows that are asked for are read. Where the cache holds pixels, no image is decoded.
    """

    def __init__(self, folder: Path, manifest: Manifest, images: ImageList, size: int, skipped: Skipped) -> None:
        self.folder, self.manifest, self.images, self.size, self.skipped = folder, manifest, images, size, skipped
        self.shards: dict[int, dict[str, Any]] = {}

    @property
    def shapes(self) -> tuple[SpaceShape, ...]:
        return self.manifest.shapes

    @property
    def visits(self) -> int:
        return self.manifest.visits

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        index, visit = key
        number, row = divmod(index * self.visits + visit % self.visits, self.manifest.shard)
        rows = self._shard(number)
        targets = {
            shape.name: [rows[f"{shape.name}.summary"][row], rows[f"{shape.name}.features"][row]]
            for shape in self.shapes
        }
        return {"images": self._pixels(rows, row), "targets": targets}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "shards": {}}  # open files stay with their process

    def _pixels(self, rows: Mapping[str, Any], row: int) -> Tensor:
        if "pixels" in rows:
            stored: Tensor = rows["pixels"][row]
            return stored
        view, shown = View(*rows["view"][row].tolist()), int(rows["shown"][row])
        image: Image.Image = decode_or_next(self.images, shown, self.skipped)[0]
        return render(view, image, self.size)

    def _shard(self, number: int) -> dict[str, Any]:
        """Rows by tensor name; they are read when they are indexed."""
        if number not in self.shards:
            path = shard_path(self.folder, number)
            try:
                opened = safe_open(path, framework="pt")
                self.shards[number] = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            except Exception as error:  # truncated or missing, each in its own way
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise UMTError(
                    f"{path}: cannot be read ({reason}); remove it if it is there, and run the same "
                    "`umt teachers cache` again, which makes what is missing"
                ) from error
        return self.shards[number]


def shard_path(folder: Path, number: int) -> Path:
    """File of a shard."""
    return folder / f"shard-{number:05}.safetensors"


def open_cache(folder: Path, prepared: Prepared, skipped: Skipped) -> CachedViews:
    """The cache of a recipe; UMTError names the fields in which it belongs to another recipe, data or weights."""
    manifest = Manifest.read(folder)
    teachers = prepared.teachers()  # for the hashes of their weights; they are not kept
    check_key(
        folder,
        manifest,
        cache_key(prepared.recipe, prepared.images, teachers, manifest.visits, pixels=manifest.key["pixels"]),
    )
    missing = [number for number in range(manifest.shards()) if not shard_path(folder, number).is_file()]
    if missing:
        raise UMTError(
            f"{folder}: {len(missing)} of {manifest.shards()} shards are missing, first "
            f"{shard_path(folder, missing[0]).name}; run the same `umt teachers cache` again, which makes them"
        )
    return CachedViews(folder, manifest, prepared.images, prepared.recipe.views.size, skipped)


def cache_key(
    recipe: DistillRecipe, images: ImageList, teachers: Sequence[Teacher], visits: int, *, pixels: bool
) -> dict[str, Any]:
    """Plain values of all that decides what a cache holds."""
    key = {
        "schema": SCHEMA,
        "views": asdict(recipe.views),
        "visits": visits,
        "pixels": pixels,
        "images": {"count": len(images), "fingerprint": images.fingerprint},
        "teachers": {teacher.name: _teacher_key(teacher) for teacher in teachers},
    }
    plain: dict[str, Any] = json.loads(json.dumps(key))
    return plain


def check_key(folder: Path, manifest: Manifest, key: Mapping[str, Any]) -> None:
    """UMTError where a cache is not the one that `key` asks for."""
    changed = differences(dict(manifest.key), dict(key))
    if changed:
        raise UMTError(
            f"{folder}: this cache is for something else ({'; '.join(changed)}); give the cache's own recipe and data, "
            "or make another cache"
        )


def _teacher_key(teacher: Teacher) -> dict[str, Any]:
    return {
        "weights": teacher.backbone.weights_hash(),
        "preprocess": asdict(teacher.backbone.preprocess),
        "kind": teacher.kind.name,
        "pooled": teacher.feature_loss.pooled,
        "size": teacher.size,
        "grid": None if teacher.feature_loss.pooled else teacher.grid,
    }
