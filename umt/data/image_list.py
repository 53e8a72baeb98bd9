"""Image files without labels: found below a folder, in a fixed order, with a fingerprint."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from umt.data.shards.lookup import packed_size
from umt.errors import MissingFileError
from umt.files import visible_entries

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
NOWHERE = 0  # the kind of a link that leads to nothing


@dataclass(frozen=True)
class ImageList:
    """Image files in a fixed order; `root` is the folder of their relative names, `origin` their name for people."""

    root: Path
    names: np.ndarray  # bytes, one flat array: a million Python objects would be copied into every worker
    origin: str

    @classmethod
    def of(cls, root: Path, paths: Sequence[str], origin: str) -> ImageList:
        """Return a list of files below `root`, by paths as `str` gives them: a million Path objects take gigabytes."""
        prefix = _prefix(root)
        below = (
            path.removeprefix(prefix) if path.startswith(prefix) else str(Path(path).relative_to(root))
            for path in paths
        )
        return cls(root, np.array(list(map(os.fsencode, below))), origin)

    @classmethod
    def of_paths(cls, paths: Iterable[Path | str], origin: str) -> ImageList:
        """Return a list of files anywhere, in this order; its root is the folder that they share."""
        working_folder = _prefix(Path.cwd())
        absolute = [text if text.startswith(os.sep) else working_folder + text for text in map(str, paths)]
        root = os.path.commonpath(set(map(os.path.dirname, absolute)))  # of few folders: it takes paths apart
        return cls.of(Path(root), absolute, origin)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        return self.root / os.fsdecode(self.names[index])

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every relative name and size."""
        return self.digest[:16]

    @cached_property
    def digest(self) -> str:
        """The whole SHA-256 over every relative name and size; a file that is not there has the size -1."""
        digest, prefix = hashlib.sha256(), os.fsencode(_prefix(self.root))
        for name in self.names:
            digest.update(b"%b:%d\n" % (name, _size(prefix + name)))
        return digest.hexdigest()


def find_images(folder: Path) -> ImageList:
    """Return all visible image files below a folder, each once, sorted by name; UMTError if there are none."""
    if not folder.is_dir():
        raise MissingFileError(f"--images {folder}: no such folder")
    paths = [path for path in _files(folder) if path.name.lower().endswith(SUFFIXES)]
    if not paths:
        raise MissingFileError(f"--images {folder}: no images below it (known: {' '.join(SUFFIXES)})")
    return ImageList.of(folder, list(map(str, sorted(paths))), str(folder))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; links are followed, and a folder that several lead to is entered once.

    A link that leads nowhere counts as a file, so that reading it names it; a pipe, a socket or a device does not.
    """
    entered: set[str] = set()
    waiting = [str(folder)]
    while waiting:
        parent = waiting.pop()
        real = os.path.realpath(parent)
        if real in entered:
            continue
        entered.add(real)
        folders = []
        for entry in _entries(parent):
            kind = _kind(entry)
            if kind == stat.S_IFDIR:
                folders.append(entry.path)
            elif kind in (stat.S_IFREG, NOWHERE):
                yield Path(entry.path)
        waiting.extend(sorted(folders, reverse=True))


def _prefix(folder: Path) -> str:
    return str(folder).rstrip(os.sep) + os.sep


def _size(path: bytes) -> int:
    """Return the size of a file, -1 if it is none; a Path of each of a million would take most of the time."""
    try:
        facts = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        size = packed_size(os.fsdecode(path))
        return -1 if size is None else size
    return facts.st_size if stat.S_ISREG(facts.st_mode) else -1


def _kind(entry: os.DirEntry[str]) -> int:
    """Return the kind of an entry or of its link's target; files, of which there are millions, need no further look."""
    if entry.is_file(follow_symlinks=False):
        return stat.S_IFREG
    try:
        return stat.S_IFMT(entry.stat().st_mode)
    except OSError:
        return NOWHERE


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return the visible entries of a folder; an empty list if it may not be read."""
    try:
        return visible_entries(folder)
    except OSError:
        return []
