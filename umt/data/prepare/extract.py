"""Archives from anywhere, extracted without trusting them: no path outside, no links or devices, no bombs."""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path, PurePosixPath
from typing import IO, Any

from rich.progress import Progress

from umt.console import shown
from umt.data.archives import Archive
from umt.data.shards.plain_tar import PlainMember, PlainTar, tar_kind
from umt.errors import SourceError, UMTError, first_line
from umt.files import open_plain
from umt.text import printable

BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
)
CHUNK_BYTES = 1 << 20
MAX_RATIO = 100  # photographs do not shrink; text shrinks tenfold; bombs a thousandfold
MIN_RATIO_BYTES = 1 << 24  # bytes: a few text files may well shrink more
MAX_PARTS = 32  # folders of a path; the official ones have five
MAX_PATH_BYTES = 1024  # bytes of a path; file systems take 4,096, of which the folder around it needs some
MAX_NAME_CHARACTERS = 120  # characters of a name in an error
MAX_TAIL_BYTES = 1 << 24  # behind the last member of a tar: it is filled up to a whole record
FOREIGN = frozenset("\\\0")  # separators of other systems; a colon is a drive mark of one, in the first part alone
ZIP_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a pipe",
}


@dataclass(frozen=True)
class ArchiveLimits:
    """The limits of an archive: at most so many entries, and so many extracted bytes."""

    files: int
    size: int
    ratio: float = MAX_RATIO

    @classmethod
    def of(cls, archive: Archive) -> ArchiveLimits:
        """Return the limits that an official file declares."""
        return cls(archive.files, int(archive.gigabytes * 1e9))


@dataclass(frozen=True)
class ArchiveEntry:
    """A folder, or a file and the call to read it; `special` names any other kind."""

    name: str
    folder: bool
    special: str
    open: Callable[[], IO[bytes]]


@dataclass
class Budget:
    """The entries and bytes that an archive has given so far, held against its limits."""

    archive: Path
    limits: ArchiveLimits
    files: int = 0
    size: int = 0
    packed: int = field(init=False)

    def __post_init__(self) -> None:
        self.packed = self.archive.stat().st_size

    def count(self, entry: str) -> None:
        """Count one more entry; UMTError if they are too many."""
        self.files += 1
        if self.files > self.limits.files:
            raise self.refusal(entry, f"entry {self.files:,}, at most {self.limits.files:,} are expected")

    def add(self, entry: str, size: int) -> None:
        """Add bytes as they are written: the sizes in headers are not trusted."""
        self.size += size
        if self.size > self.limits.size:
            raise self.refusal(entry, f"{self.size:,} bytes so far, at most {self.limits.size:,} are expected")
        if self.size > max(MIN_RATIO_BYTES, self.limits.ratio * self.packed):
            raise self.refusal(entry, f"{self.size / self.packed:.0f} times the archive's size, expected a few times")

    def refusal(self, entry: str, reason: str) -> UMTError:
        name = printable(entry[:MAX_NAME_CHARACTERS])
        return SourceError(f"{self.archive}: entry '{name}' is {reason}; get the official archive")


def extract(archive: Path, target: Path, limits: ArchiveLimits, progress: Progress) -> None:
    """Write a zip, tar or compressed tar below the folder `target`; UMTError names the first entry that is refused."""
    budget = Budget(archive, limits)
    with entries(archive, progress) as members:
        write_entries(members, target, budget)


def write_entries(members: Iterator[ArchiveEntry], target: Path, budget: Budget) -> None:
    """Write entries below `target`, each name at most once."""
    for entry in members:
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


def write(entry: ArchiveEntry, path: Path, budget: Budget) -> None:
    """Write one file that is not there yet."""
    with entry.open() as source, path.open("xb") as out:
        while chunk := source.read(CHUNK_BYTES):
            budget.add(entry.name, len(chunk))
            out.write(chunk)


def inside(entry: ArchiveEntry, budget: Budget) -> PurePosixPath:
    """Return the path of an entry below the target; UMTError if it would not be a plain file there."""
    if entry.special:
        raise budget.refusal(entry.name, entry.special)
    if len(entry.name.encode(errors="surrogatepass")) > MAX_PATH_BYTES or entry.name.count("/") >= MAX_PARTS:
        raise budget.refusal(entry.name, f"a path of more than {MAX_PARTS} folders or {MAX_PATH_BYTES:,} bytes")
    path = PurePosixPath(entry.name)
    drive = any(":" in part for part in path.parts[:1])
    if path.is_absolute() or ".." in path.parts or drive or FOREIGN & set(entry.name):
        raise budget.refusal(entry.name, "a path outside the folder")
    return path


class ArchiveFile(FileIO):
    """An archive on disk, which a failing disk names: else it would seem to be the disk that is written to."""

    archive: Path

    def readinto(self, buffer: Any) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise SourceError(f"{self.archive}: cannot be read ({error.strerror}); copy it again") from error


@contextmanager
def entries(archive: Path, progress: Progress) -> Iterator[Iterator[ArchiveEntry]]:
    """Open the entries of a zip or tar in order, with a bar over the archive's bytes; UMTError if it cannot be read."""
    try:
        with open_plain(archive, links=True) as plain, ArchiveFile(plain.fileno(), closefd=False) as raw:
            raw.archive, file = archive, BufferedReader(raw)
            task = progress.add_task(f"extract {shown(archive.name)}", total=archive.stat().st_size)
            kind = zip_entries if zipfile.is_zipfile(file) else tar_entries
            file.seek(0)
            yield followed(kind(file), file, lambda done: progress.update(task, completed=done))
            progress.remove_task(task)
    except BROKEN as error:
        raise SourceError(f"{archive}: cannot be read ({first_line(error)}); download it again") from error


def followed(members: Iterator[ArchiveEntry], file: IO[bytes], report: Callable[[int], None]) -> Iterator[ArchiveEntry]:
    """Yield the same entries; before each, report the position in the archive."""
    for entry in members:
        report(file.tell())
        yield entry


def tar_entries(file: IO[bytes]) -> Iterator[ArchiveEntry]:
    """Yield the entries of a tar, compressed or not, in one pass."""
    with PlainTar.open(fileobj=file, mode="r:*", tarinfo=PlainMember) as tar:
        for member in tar:
            yield ArchiveEntry(member.name, member.isdir(), tar_kind(member), partial(tar_open, tar, member))
        _read_tail(tar, file)


def _read_tail(tar: tarfile.TarFile, file: IO[bytes]) -> None:
    """Read what is behind the last member, as the checksum of a compressed tar; TarError if that is a lot."""
    position = file.tell()
    tail = file.seek(0, os.SEEK_END) - position
    file.seek(position)
    if tail > MAX_TAIL_BYTES:
        raise tarfile.TarError(f"{tail:,} bytes follow its last member")
    assert tar.fileobj
    tar.fileobj.read(MAX_TAIL_BYTES)


def tar_open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member)
    if source is None:  # it is a file, or it would have been refused
        raise tarfile.TarError(f"{member.name} has no content")
    return source


def zip_entries(file: IO[bytes]) -> Iterator[ArchiveEntry]:
    """Yield the entries of a zip in the order of its directory."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            yield ArchiveEntry(info.orig_filename, info.is_dir(), zip_kind(info), partial(archive.open, info))


def zip_kind(info: zipfile.ZipInfo) -> str:
    """Return the kind of an entry that is neither file nor folder, else an empty text."""
    if info.flag_bits & 1:
        return "encrypted"
    return ZIP_KINDS.get(stat.S_IFMT(info.external_attr >> 16), "")
