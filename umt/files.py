"""Files that appear whole or not at all, and the room for them."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from umt.errors import WriteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes its name only when it is complete and on disk; after an error it is gone.

    UMTError where the disk is full or the folder cannot be written: what was there under that name before stays.
    """
    with _beside(path) as handle:
        try:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            os.fchmod(handle.fileno(), 0o666 & ~_umask())  # a temporary file is for its owner's eyes only
        except BaseException as error:
            with suppress(OSError):  # a full disk refuses what is still buffered, too
                handle.close()
            Path(handle.name).unlink()
            reason = _disk_error(error)
            if reason is None:
                raise
            kept = "the file before it is kept" if path.is_file() else "nothing was there before"
            raise WriteError(
                f"{path}: cannot be written ({reason}); {kept}; free some space and start again"
            ) from error
    Path(handle.name).replace(path)


def writable_folder(folder: Path, option: str) -> Path:
    """Make a folder; UMTError with the option that names another where files cannot be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error.strerror}); name another {option}") from error


def free_bytes(folder: Path) -> int:
    """Free on the disk that the folder is on, or will be."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def _beside(path: Path) -> IO[bytes]:
    """A new file in the folder of another."""
    try:
        return tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False)
    except OSError as error:
        raise WriteError(
            f"{path}: cannot be written ({error.strerror}); make its folder one that can be, and start again"
        ) from error


def _disk_error(error: BaseException | None) -> str | None:
    """What the system said about the disk, if that is what an error goes back to; torch wraps it while it closes."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return os.strerror(error.errno or 0) if error is not None and error.errno in FULL else None


def _umask() -> int:
    """The process's own; asking for it means setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
