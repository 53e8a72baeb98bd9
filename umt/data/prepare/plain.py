"""A folder of plain files, checked before any file of it is copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from umt.data.prepare.extract import MAX_PARTS
from umt.errors import SourceError
from umt.files import open_plain


def copy_plain(folder: Path, origin: Path, out: Path) -> None:
    """Copy a folder at or below `origin` to `out`; UMTError for the first link or special file, before any copy.

    `origin` itself may be a link: the user has named it.
    """
    for depth in range(1, len(folder.relative_to(origin).parts) + 1):
        refuse_link(origin.joinpath(*folder.relative_to(origin).parts[:depth]))
    for path in _odd_entries(folder):
        refuse_odd(path)
    shutil.copytree(folder, out, dirs_exist_ok=True, symlinks=True)  # a link that appears meanwhile is copied as a link


def refuse_odd(path: Path, *, links: bool = False) -> None:
    """Raise a UMTError for anything but a plain file; `links` admits a link to one."""
    try:
        open_plain(path, links=links).close()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; --from takes plain files") from error


def refuse_link(folder: Path) -> None:
    """Raise a UMTError for a folder that is a link."""
    if folder.is_symlink():
        raise SourceError(f"{folder}: is a link, which is not followed here; give --from the folder that it leads to")


def _odd_entries(folder: Path) -> Iterator[Path]:
    """Yield every entry at any depth that is neither a folder nor a plain file; UMTError for folders without end."""
    waiting = [(folder, 1)]
    while waiting:
        parent, depth = waiting.pop()
        if depth > MAX_PARTS:
            raise SourceError(f"{parent}: is more than {MAX_PARTS} folders deep; --from takes the official layout")
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((parent / entry.name, depth + 1))
                elif not entry.is_file(follow_symlinks=False):
                    yield parent / entry.name
