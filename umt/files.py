"""Files: written whole or not at all, opened only if they are plain files, and kept below their folder."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from umt.errors import TrustError, WriteError

DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAX_NAME_BYTES = 200  # bytes of one part of a path; file systems take 255, and suffixes are added to it
ABANDONED_SECONDS = 60.0  # without a write; a file that is being made is not yet locked for a moment
FLAGS = {
    "rb": os.O_RDONLY,
    "r+b": os.O_RDWR,
    "ab": os.O_WRONLY | os.O_APPEND | os.O_CREAT,
    "wb": os.O_WRONLY | os.O_CREAT,
}
JUNK = ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")  # left by macOS, Synology and Windows beside files
SPECIAL = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def open_plain(path: Path, mode: str = "rb", *, links: bool = False, max_bytes: int | None = None) -> IO[Any]:
    """Open a plain file in binary, without waiting for a writer: no pipe, no device, and by default no link.

    links: whether the last part of the path may be a link; for files that the user alone has put there. max_bytes: the
    largest size in bytes that is opened. Raises OSError, whose `strerror` says what is wrong.
    """
    try:
        descriptor = os.open(path, FLAGS[mode] | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW), 0o666)
    except OSError as error:
        if not links and error.errno == errno.ELOOP:
            raise OSError(
                errno.ELOOP, "is a link, which is not followed here; put the file itself there", path
            ) from None
        raise
    try:
        _refuse_special(os.fstat(descriptor), path, max_bytes)
        if mode == "wb":
            os.ftruncate(descriptor, 0)
        return os.fdopen(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path, *, links: bool = False, max_bytes: int | None = None) -> bytes:
    """Return the content of a plain file, as `open_plain` opens it."""
    with open_plain(path, links=links, max_bytes=max_bytes) as handle:
        content: bytes = handle.read()
        return content


def missing(path: Path) -> bool:
    """Return true if there is no file of that name; false in a folder that may not be entered: opening it says so."""
    try:
        return not path.is_file()
    except PermissionError:
        return False


@contextmanager
def utf8_name(path: Path) -> Iterator[Path]:
    """Yield a name of a file that is UTF-8, as libraries in Rust and C++ need it: a link if its own name is not."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="umt-") as folder:
            link = Path(folder) / f"{component(path.stem)}{component(path.suffix)}"
            link.symlink_to(path.absolute())
            yield link
    else:
        yield path


def hidden(name: str) -> bool:
    """Return true for the name of what desktops and notebooks leave in folders: it is not listed anywhere."""
    return name.startswith(".") or name in JUNK


def visible_entries(folder: str | Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """List what is directly in a folder and not hidden, in order of name; OSError if the folder cannot be listed.

    Names that are no UTF-8 stay as the system gives them, and links are not followed.
    """
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not hidden(entry.name)), key=lambda entry: entry.name)


def component(text: str, joint: str = "_") -> str:
    """Return text as one part of a path: letters, digits and `_.+-`, with `joint` for all other characters.

    It is never empty, hidden, `.` or `..`, and has at most 200 bytes: any other text ends in a digest of itself.
    """
    part = re.sub(r"[^\w.+-]+", joint, text).strip(joint)
    if part and not part.startswith(".") and len(part.encode()) <= MAX_NAME_BYTES:
        return part
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    start = part.strip(".").encode()[: MAX_NAME_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{start or 'unnamed'}-{digest}"


def below(folder: Path, *parts: str | Path, links: bool = False) -> Path:
    """Return the path of the parts below a folder; TrustError if it lies elsewhere, by `..`, a root or a link.

    links: whether a link may lead elsewhere, in a folder that the user alone has filled.
    """
    path = folder.joinpath(*parts)
    real = os.path.abspath if links else os.path.realpath  # Path.resolve raises for a link loop
    if not Path(real(path)).is_relative_to(real(folder)):
        raise TrustError(f"{path}: lies outside {folder}, where it must be; put it there, or name it below that folder")
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes its name only when it is complete and on disk; after an error it is gone.

    Raises UMTError if the disk is full or the folder cannot be written; a file that had the name before stays.
    """
    with _beside(path) as handle:
        try:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            os.fchmod(handle.fileno(), 0o666 & ~umask())  # a temporary file is for its owner's eyes only
        except BaseException as error:
            with suppress(OSError):  # a full disk refuses the bytes in the buffer, too
                handle.close()
            Path(handle.name).unlink()
            reason = _disk_error(error)
            if reason is None:
                raise
            state = "the file before it is kept" if path.is_file() else "nothing was there before"
            raise WriteError(
                f"{path}: cannot be written ({reason}); {state}; free some space and start again"
            ) from error
    Path(handle.name).replace(path)


def writable_folder(folder: Path, option: str) -> Path:
    """Make a folder; if files cannot be made in it, UMTError with the option that names another folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error.strerror}); name another {option}") from error


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that the folder is on, or will be."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(existing).free


def _beside(path: Path) -> IO[bytes]:
    """Open a new temporary file in the folder of another file."""
    prefix = f".partial-{component(os.uname().nodename)}-"
    _remove_abandoned(path.parent, prefix)
    try:
        return _locked(tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, delete=False))
    except OSError as error:
        raise WriteError(
            f"{path}: cannot be written ({error.strerror}); make its folder writable, and start again"
        ) from error


def _locked(handle: IO[bytes]) -> IO[bytes]:
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


@lru_cache
def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove what a killed process of this machine left in a folder: nobody writes it, and nobody holds its lock."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError), open_plain(path, "r+b") as handle:
            if time.time() - os.fstat(handle.fileno()).st_mtime > ABANDONED_SECONDS:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _disk_error(error: BaseException | None) -> str | None:
    """Return the system's message about the disk if that caused an error; torch wraps it while it closes."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return os.strerror(error.errno or 0) if error is not None and error.errno in DISK_FULL_ERRORS else None


def umask() -> int:
    """Return the umask of the process; the only way to read it is to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _refuse_special(facts: os.stat_result, path: Path, max_bytes: int | None) -> None:
    kind = stat.S_IFMT(facts.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"is {SPECIAL.get(kind, 'a device')}, not a plain file", path)
    if max_bytes is not None and facts.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"has {facts.st_size:,} bytes, at most {max_bytes:,} are read", path)
