"""The index of the tars of one split: each image's class, name and place, kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from umt.data.shards.devkit import VALIDATION, classify, find_devkit
from umt.data.shards.members import TarScan, refuse_twice
from umt.errors import ChangedError, DataError, WriteError
from umt.files import atomic_file, open_plain, read_plain

VERSION = 2  # of the file of an index
CATEGORIES = "classes.txt"  # beside the tars: a class a line, in the order of the numbers in labels
MAX_CATEGORIES_BYTES = 1 << 24
MAX_HEADER_BYTES = 1 << 26
MAX_OPEN_TARS = 128  # in each process; systems often give a process 1,024 files
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TarFile:
    """A tar as it was when it was indexed."""

    path: Path
    size: int
    changed: int  # nanoseconds, the file's own time

    @classmethod
    def of(cls, path: Path) -> TarFile:
        facts = path.stat()
        return cls(path, facts.st_size, facts.st_mtime_ns)


@dataclass(frozen=True)
class ShardIndex:
    """All images of a split, sorted by the bytes of `category/name`; two splits never share one."""

    tars: tuple[TarFile, ...]
    rows: np.ndarray  # path, tar, offset, size

    @cached_property
    def categories(self) -> list[str]:
        """The names of the classes, sorted."""
        return sorted(self._spans)

    def names(self, category: str) -> list[str]:
        """Return the names of the images of a class, sorted; empty for an unknown one."""
        start, stop = self._spans.get(category, (0, 0))
        skipped = len(os.fsencode(category)) + 1
        return sorted(os.fsdecode(path[skipped:]) for path in self.rows["path"][start:stop])

    def size(self, category: str, name: str) -> int | None:
        """Return the bytes of an image, None if there is none of that name."""
        row = self._row(category, name)
        return None if row is None else int(row["size"])

    def read(self, category: str, name: str) -> bytes | None:
        """Return the content of an image, None if there is none of that name; UMTError if its tar has changed."""
        row = self._row(category, name)
        if row is None:
            return None
        tar = self.tars[row["tar"]]
        content = os.pread(_handle(tar, os.getpid()).descriptor, int(row["size"]), int(row["offset"]))
        if len(content) != row["size"]:
            raise DataError(f"{tar.path}: ends inside {category}/{name}; copy it again")
        return content

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        """The rows of each class, found by leaps."""
        spans, start, paths = {}, 0, self.rows["path"]
        while start < len(paths):
            category = paths[start].partition(b"/")[0]
            stop = bisect_left(paths, category + b"0", lo=start)  # the character after the slash
            spans[os.fsdecode(category)] = (start, stop)
            start = stop
        return spans

    def _row(self, category: str, name: str) -> Any:
        path, paths = os.fsencode(f"{category}/{name}"), self.rows["path"]
        number = bisect_left(paths, path)
        return self.rows[number] if number < len(paths) and paths[number] == path else None


class TarHandle:
    """An open tar, closed when nobody uses it any more; reading by offset needs no position of its own."""

    def __init__(self, tar: TarFile) -> None:
        with open_plain(tar.path, links=True) as file:
            self.descriptor = os.dup(file.fileno())
        facts = os.fstat(self.descriptor)
        if (facts.st_size, facts.st_mtime_ns) != (tar.size, tar.changed):
            raise ChangedError(f"{tar.path}: has changed since it was indexed; start again")

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):  # it could not be opened
            os.close(self.descriptor)


@lru_cache(MAX_OPEN_TARS)
def _handle(tar: TarFile, process: int) -> TarHandle:
    """Open a tar once in each process: a forked one opens its own."""
    return TarHandle(tar)


def load_index(folder: Path, tars: Sequence[TarFile]) -> ShardIndex:
    """Return the index of the tars of a split from the cache, or make it; UMTError if a tar cannot be read.

    folder: the class folders' own folder, if the tars were extracted.
    """
    categories = _categories(tars[0].path.parent)
    sources = [[str(tar.path), tar.size, tar.changed] for tar in (*tars, *_devkits(tars))]
    key = json.dumps([VERSION, sources, categories]).encode()
    path = _cache_folder() / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.index"
    rows = _stored(path, key)
    if rows is None:
        log.warning("%s: indexing %d tar files, once", folder, len(tars))
        rows = _rows(folder, tars, categories)
        with suppress(WriteError, OSError):  # without a cache it is made again by each process
            _store(path, key, rows)
    return ShardIndex(tuple(tars), rows)


def _categories(folder: Path) -> list[str]:
    """Return the names of numbered classes; the list lies beside the tars or one folder above, or there is none."""
    for parent in (folder, folder.parent):
        with suppress(FileNotFoundError):
            text = read_plain(parent / CATEGORIES, links=True, max_bytes=MAX_CATEGORIES_BYTES).decode("utf-8-sig")
            return [line.strip() for line in text.splitlines() if line.strip()]
    return []


def _devkits(tars: Iterable[TarFile]) -> list[TarFile]:
    """Return the devkit that tells the classes of the images in the official validation tar, if that is there."""
    paths = [find_devkit(tar.path.parent) for tar in tars if tar.path.name == VALIDATION]
    return [TarFile.of(path) for path in paths if path]


def _rows(folder: Path, tars: Sequence[TarFile], categories: Sequence[str]) -> np.ndarray:
    images = sorted(_images(tars, categories))
    refuse_twice((image[0] for image in images), folder)
    width = max((len(image[0]) for image in images), default=1)
    return np.array(images, dtype=[("path", f"S{width}"), ("tar", "<u4"), ("offset", "<u8"), ("size", "<u8")])


def _images(tars: Sequence[TarFile], categories: Sequence[str]) -> Iterator[tuple[bytes, int, int, int]]:
    for number, tar in enumerate(tars):
        for image in classify(tar.path, TarScan(tar.path, categories).images()):
            yield os.fsencode(f"{image.category}/{image.name}"), number, image.offset, image.size


def _store(path: Path, key: bytes, rows: np.ndarray) -> None:
    """Write an index: a line of JSON, the key, and the rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = {"key": len(key), "width": rows.dtype["path"].itemsize, "rows": len(rows)}
    header = json.dumps(sizes | {"checksum": zlib.crc32(rows.tobytes(), zlib.crc32(key))}).encode()
    with atomic_file(path) as file:
        file.write(header + b"\n" + key + rows.tobytes())


def _stored(path: Path, key: bytes) -> np.ndarray | None:
    """Return the rows of an index that was made of these tars; None if there is none, or it is damaged."""
    try:
        with open_plain(path) as file:
            header = json.loads(file.readline(MAX_HEADER_BYTES))
            if file.read(len(key)) != key:
                return None
            rows = np.fromfile(file, dtype=_dtype(header["width"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = len(rows) == header.get("rows") and zlib.crc32(rows.tobytes(), zlib.crc32(key)) == header.get("checksum")
    return rows if sound else None


def _dtype(width: int) -> np.dtype:
    return np.dtype([("path", f"S{int(width)}"), ("tar", "<u4"), ("offset", "<u8"), ("size", "<u8")])


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umt-bench" / "shards"
