"""An entry of the cache on disk: an array that grows row by row, is whole if its header is there, and is checked."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from umt.declarations import read_json
from umt.errors import UMTError, WriteError, first_line
from umt.feature_cache.disk_cache import checksum, locked
from umt.files import atomic_file, open_plain

DTYPE = np.dtype("<f4")
BLOCK_BYTES = 1 << 24  # bytes that are read at a time to check a file
MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class CacheEntry:
    """Files of an entry: NAME.npy with the features, NAME.json with its key and checksum, written last."""

    folder: Path
    name: str

    @property
    def array(self) -> Path:
        return self.folder / f"{self.name}.npy"

    @property
    def header(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def partial(self) -> Path:
        return self.folder / f"{self.name}.partial"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.name}.lock"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files but the lock; the header first, so that the rest of a removed entry is never believed."""
        return self.header, self.array, self.partial

    def locked(self, timeout: float = -1) -> AbstractContextManager[None]:
        """Lock this entry for this process, see `umt.feature_cache.disk_cache.locked`."""
        return locked(self.lock, "--cache", timeout)

    def read(self, key: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the features of this key and shape, memory-mapped and private to this process.

        Returns None if they are not there, damaged, or of another key or shape.
        """
        header = self.read_header() or {}
        if header.get("key") != key or header.get("shape") != list(shape):
            return None
        try:
            with open_plain(self.array) as handle:
                size = os.fstat(handle.fileno()).st_size
                if size != total_bytes(shape) or _crc32(handle) != header.get("crc32"):  # a huge one is not even read
                    return None
                with suppress(PermissionError):  # in the folder of another user
                    os.utime(self.header, follow_symlinks=False)  # by the last use entries are pruned
                return _mapped(handle, shape)
        except (OSError, ValueError):  # no plain file, or no array of that shape
            return None

    def open(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the features as they are on disk, unchecked; UMTError if another process has damaged them."""
        try:
            with open_plain(self.array) as handle:
                return _mapped(handle, shape)
        except (OSError, ValueError) as error:
            raise WriteError(
                f"{self.array}: changed by another process ({first_line(error)}); start again, or name another --cache"
            ) from error

    def read_header(self) -> dict[str, Any] | None:
        """Read the header; return None if there is none that can be read."""
        try:
            return read_json(self.header, "a header", "remove it", links=False, max_bytes=MAX_HEADER_BYTES)
        except (OSError, UMTError):
            return None

    def rows(self, shape: tuple[int, ...]) -> int:
        """Return the rows that an interrupted process has left; remove a file of another shape, a link or a pipe."""
        start = _array_header(shape)
        try:
            with open_plain(self.partial) as handle:
                if handle.read(len(start)) == start:
                    rows = (os.fstat(handle.fileno()).st_size - len(start)) // row_bytes(shape)
                    return min(rows, shape[0])
        except FileNotFoundError:
            return 0
        except OSError:  # no plain file, so none of our files
            pass
        with self._writing():
            self.partial.unlink()
        return 0

    @contextmanager
    def appending(self, shape: tuple[int, ...], rows: int) -> Iterator[Any]:
        """Open a file for the features from row `rows` on, float32; UMTError if the disk is full."""
        start = _array_header(shape)
        with self._writing():
            handle = open_plain(self.partial, "r+b" if rows else "wb")
        try:
            with handle:
                if not rows:
                    handle.write(start)
                handle.truncate(len(start) + rows * row_bytes(shape))
                handle.seek(0, os.SEEK_END)
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise WriteError(
                f"{self.partial}: cannot be written ({error.strerror}); make room, `umt cache prune` may help"
            ) from error

    def finish(self, key: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        """Give the whole array its name, and then its header."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        with self._writing():
            self.header.unlink(missing_ok=True)
            self.partial.replace(self.array)
            with open_plain(self.array) as array:
                header = {"key": key, "shape": shape, "crc32": _crc32(array), "made": created}
            with atomic_file(self.header) as handle:
                handle.write(json.dumps(header, indent=1).encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn an error of the system into a UMTError that names the entry."""
        try:
            yield
        except OSError as error:
            raise WriteError(
                f"{error.filename or self.array}: cannot be written ({error.strerror}); remove it, or name another "
                "--cache"
            ) from error


def _crc32(handle: IO[bytes]) -> int:
    return checksum(iter(partial(handle.read, BLOCK_BYTES), b""))


def _mapped(handle: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """Map the array of a file; ValueError if it is not of this shape."""
    start = _array_header(shape)
    handle.seek(0)
    if handle.read(len(start)) != start:
        raise ValueError("an array of another shape")
    return np.memmap(handle, DTYPE, "c", len(start), shape)


def row_bytes(shape: tuple[int, ...]) -> int:
    """Return the bytes of the features of one image."""
    return int(np.prod(shape[1:], dtype=np.int64)) * DTYPE.itemsize


def total_bytes(shape: tuple[int, ...]) -> int:
    """Return the bytes of the file of an entry."""
    return len(_array_header(shape)) + shape[0] * row_bytes(shape)


def _array_header(shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(DTYPE), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()
