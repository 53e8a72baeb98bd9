"""One entry of the cache on disk: an array that grows row by row, is whole when its header is there, and is checked."""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from umt.errors import WriteError
from umt.files import atomic_file

DTYPE = np.dtype("<f4")
BLOCK = 1 << 24  # bytes that are read at a time to check a file


@dataclass(frozen=True)
class Entry:
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
        """All but the lock; the header first, so that what is left of an entry is never believed."""
        return self.header, self.array, self.partial

    @contextmanager
    def locked(self, timeout: float = -1) -> Iterator[None]:
        """Alone with this entry; filelock.Timeout where another process is at it for longer.

        UMTError where the folder cannot be written.
        """
        lock = FileLock(self.lock, timeout=timeout)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise
        except OSError as error:
            raise WriteError(
                f"{self.folder}: features cannot be cached there ({error.strerror}); name another --cache"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def read(self) -> np.ndarray | None:
        """The features, memory-mapped and private to this process; None where they are not there or damaged."""
        header = self.read_header()
        if header is None or not self.array.is_file() or checksum(self.array) != header.get("crc32"):
            return None
        os.utime(self.header)  # the time of the last use, by which entries are pruned
        try:
            return self.open()
        except ValueError:  # no array of numbers; pickled objects are never read
            return None

    def open(self) -> np.ndarray:
        """The features as they are on disk, unchecked."""
        array: np.ndarray = np.lib.format.open_memmap(self.array, mode="c")  # np.load would also take a zip
        return array

    def read_header(self) -> dict[str, Any] | None:
        """What the header says; None where there is none that can be read."""
        try:
            found = json.loads(self.header.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def rows(self, shape: tuple[int, ...]) -> int:
        """Rows that an interrupted process has left; a file of another shape is removed."""
        start = _array_header(shape)
        if self.partial.is_file():
            with self.partial.open("rb") as handle:
                if handle.read(len(start)) == start:
                    return (self.partial.stat().st_size - len(start)) // row_bytes(shape)
            self.partial.unlink()
        return 0

    @contextmanager
    def appending(self, shape: tuple[int, ...], rows: int) -> Iterator[Any]:
        """A file for the features from row `rows` on, float32; UMTError where the disk is full."""
        start = _array_header(shape)
        try:
            with self.partial.open("r+b" if rows else "wb") as handle:
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
        self.header.unlink(missing_ok=True)
        self.partial.replace(self.array)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        header = {"key": key, "shape": shape, "crc32": checksum(self.array), "made": made}
        with atomic_file(self.header) as handle:
            handle.write(json.dumps(header, indent=1).encode())


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            found = zlib.crc32(block, found)
    return found


def row_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of the features of one image."""
    return int(np.prod(shape[1:], dtype=np.int64)) * DTYPE.itemsize


def total_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of the file of an entry."""
    return len(_array_header(shape)) + shape[0] * row_bytes(shape)


def _array_header(shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(DTYPE), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()
