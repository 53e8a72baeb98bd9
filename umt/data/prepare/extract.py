"""Archives from anywhere, extracted without trusting them: no path outside, no links or devices, no bombs."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from rich.progress import Progress

from umt.errors import SourceError, UMTError, first_line

BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
CHUNK = 1 << 20
MAX_RATIO = 100  # photographs do not shrink; text shrinks tenfold; bombs a thousandfold
RATIO_FROM = 1 << 24  # bytes: a few text files may well shrink more
FOREIGN = frozenset("\\:\0")  # what separates, or names a drive, on other systems
ZIP_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a pipe",
}


@dataclass(frozen=True)
class Limits:
    """At most so many entries, and so many bytes out of them."""

    files: int
    size: int
    ratio: float = MAX_RATIO


@dataclass(frozen=True)
class Entry:
    """A folder, or a file and how to read it; `special` says what it is instead."""

    name: str
    folder: bool
    special: str
    open: Callable[[], IO[bytes]]


@dataclass
class Budget:
    """What has come out of an archive so far, held against its limits."""

    archive: Path
    limits: Limits
    files: int = 0
    size: int = 0
    packed: int = field(init=False)

    def __post_init__(self) -> None:
        self.packed = self.archive.stat().st_size

    def count(self, entry: str) -> None:
        """One more entry; UMTError where they are too many."""
        self.files += 1
        if self.files > self.limits.files:
            raise self.refusal(entry, f"entry {self.files:,}, at most {self.limits.files:,} are expected")

    def add(self, entry: str, size: int) -> None:
        """So many more bytes, as they are written: what headers say is not believed."""
        self.size += size
        if self.size > self.limits.size:
            raise self.refusal(entry, f"{self.size:,} bytes so far, at most {self.limits.size:,} are expected")
        if self.size > max(RATIO_FROM, self.limits.ratio * self.packed):
            raise self.refusal(entry, f"{self.size / self.packed:.0f} times the archive's size, expected a few times")

    def refusal(self, entry: str, reason: str) -> UMTError:
        return SourceError(f"{self.archive}: entry '{printable(entry)}' is {reason}; get the official archive")


def extract(archive: Path, target: Path, limits: Limits, progress: Progress) -> None:
    """Write a zip, tar or compressed tar below the folder `target`; UMTError names the first entry that is refused."""
    budget = Budget(archive, limits)
    with entries(archive, progress) as found:
        write_entries(found, target, budget)


def write_entries(found: Iterator[Entry], target: Path, budget: Budget) -> None:
    """Write entries below `target`, each name at most once."""
    for entry in found:
        path = target / inside(entry, budget)
        budget.count(entry.name)
        try:
            if entry.folder:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(entry, path, budget)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise budget.refusal(entry.name, "there twice") from error


def write(entry: Entry, path: Path, budget: Budget) -> None:
    """Write one file that is not there yet."""
    with entry.open() as source, path.open("xb") as out:
        while chunk := source.read(CHUNK):
            budget.add(entry.name, len(chunk))
            out.write(chunk)


def inside(entry: Entry, budget: Budget) -> PurePosixPath:
    """The path of an entry below the target; UMTError where it would be anything else than a plain file there."""
    if entry.special:
        raise budget.refusal(entry.name, entry.special)
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or FOREIGN & set(entry.name):
        raise budget.refusal(entry.name, "a path outside the folder")
    return path


@contextmanager
def entries(archive: Path, progress: Progress) -> Iterator[Iterator[Entry]]:
    """The entries of a zip or tar in order, with a bar over the archive's bytes; UMTError where it cannot be read."""
    try:
        with archive.open("rb") as file:
            task = progress.add_task(f"extract {archive.name}", total=archive.stat().st_size)
            kind = zip_entries if zipfile.is_zipfile(file) else tar_entries
            file.seek(0)
            yield followed(kind(file), file, lambda done: progress.update(task, completed=done))
            progress.remove_task(task)
    except BROKEN as error:
        raise SourceError(f"{archive}: cannot be read ({first_line(error)}); download it again") from error


def followed(found: Iterator[Entry], file: IO[bytes], report: Callable[[int], None]) -> Iterator[Entry]:
    """The same entries; before each the position in the archive is reported."""
    for entry in found:
        report(file.tell())
        yield entry


def tar_entries(file: IO[bytes]) -> Iterator[Entry]:
    """Entries of a tar, compressed or not, in one pass."""
    with tarfile.open(fileobj=file, mode="r:*") as tar:
        for member in tar:
            yield Entry(member.name, member.isdir(), tar_kind(member), partial(tar_open, tar, member))


def tar_kind(member: tarfile.TarInfo) -> str:
    """What a member is if it is neither file nor folder."""
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    return "" if member.isreg() or member.isdir() else "a device or pipe"


def tar_open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member)
    if source is None:  # it is a file, or it would have been refused
        raise tarfile.TarError(f"{member.name} has no content")
    return source


def zip_entries(file: IO[bytes]) -> Iterator[Entry]:
    """Entries of a zip in the order of its directory."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            yield Entry(info.orig_filename, info.is_dir(), zip_kind(info), partial(archive.open, info))


def zip_kind(info: zipfile.ZipInfo) -> str:
    """What an entry is if it is neither file nor folder."""
    if info.flag_bits & 1:
        return "encrypted"
    return ZIP_KINDS.get(stat.S_IFMT(info.external_attr >> 16), "")


def printable(name: str) -> str:
    """A name from an archive, safe on a terminal."""
    return name.encode("unicode_escape").decode()[:120]
