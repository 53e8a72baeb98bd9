"""The mechanism that both disk caches share, of features and of teachers' targets: keys, checksums, locks and room."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import Timeout

from umt.errors import WriteError
from umt.files import free_bytes
from umt.locks import lock

Key = Mapping[str, Any]  # plain values that decide the content: if two are equal, so are the contents


def plain_key(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as JSON gives it back, so that it equals its stored form."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def digest(key: Key, digits: int) -> str:
    """Return so many hex digits that stand for a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:digits]


def checksum(blocks: Iterable[Any]) -> int:
    """Return the CRC-32 of bytes, or of what exports them, that come in several blocks."""
    value = 0
    for block in blocks:
        value = zlib.crc32(block, value)
    return value


@contextmanager
def locked(path: Path, option: str, timeout: float = -1) -> Iterator[None]:
    """Hold a lock of a cache, and make its folder; filelock.Timeout if another process holds it for longer.

    Raises UMTError with the option that names another folder if this one cannot be written, or has no locks.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_locked = stack.enter_context(lock(path, timeout))
        except Timeout:
            raise
        except OSError as error:
            raise _no_cache(path.parent, str(error.strerror), option) from error
        if not is_locked:
            no_locks = OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            raise _no_cache(path.parent, str(no_locks.strerror), option) from no_locks
        yield


def _no_cache(folder: Path, reason: str, option: str) -> WriteError:
    return WriteError(f"{folder}: nothing can be cached there ({reason}); name another {option}")


def shortage(folder: Path, needed: int) -> str | None:
    """Return what is needed and what is free on the folder's disk, as text, if it is not enough; else None."""
    free = free_bytes(folder)
    return f"takes {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free" if needed > free else None
