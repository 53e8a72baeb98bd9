"""The size of a cache, reported and checked before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from umt.distill.cache.shard import SUM_BYTES
from umt.distill.images import NUMBERS
from umt.distill.teachers.teacher import Teacher
from umt.errors import WriteError
from umt.files import free_bytes

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
        return Size({name: taken * count for name, taken in self.parts.items()})

    def shard(self) -> int:
        """Return the number of views in a shard, if this is the size of one view."""
        return min(SHARD_VIEWS, max(1, round(SHARD_BYTES / self.total)))


def size_of_view(teachers: Sequence[Teacher], pixels: int | None) -> Size:
    """Return the size of one view: fp16 targets, its numbers, checksums, and its pixels if stored (`pixels` a side)."""
    parts = {f"teacher {teacher.name}": 2 * sum(_values(teacher)) + 2 * SUM_BYTES for teacher in teachers}
    parts["views"] = 4 * NUMBERS + 8 + 2 * SUM_BYTES
    if pixels:
        parts["pixels"] = 3 * pixels**2 + SUM_BYTES
    return Size(parts)


def check_room(folder: Path, size: Size) -> None:
    """Check the free disk space of the cache's folder, less the shards already there; UMTError if it is too small."""
    taken = sum(path.lstat().st_size for path in folder.glob("shard-*"))
    free = free_bytes(folder)
    if size.total - taken > free:
        raise WriteError(
            f"{folder}: the cache takes {size.total / 1e9:.2f} GB and {free / 1e9:.2f} GB are free; make room, "
            "lower --views, or give another --out"
        )


def _values(teacher: Teacher) -> tuple[int, int]:
    """Return the number of values in the summary and in the features of a view."""
    summary, features = teacher.widths()
    rows, columns = (1, 1) if teacher.feature_loss.pooled else teacher.grid
    return summary, features * rows * columns
