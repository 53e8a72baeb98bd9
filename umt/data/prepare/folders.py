"""The sets whose archive is the official folder: extract, and take the folder out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rich.progress import Progress

from umt.data.archives import Archive, Part
from umt.data.prepare.extract import ArchiveLimits, extract
from umt.errors import SourceError


def whole_archive(target: str, archive: Archive) -> Part:
    """Return the part whose one archive holds the folder of `target`."""
    return Part(target, (archive,), partial(build_folder, folder=target.rpartition("/")[2]))


def build_folder(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress, folder: str) -> None:
    """Extract the one archive, and move the content of its `folder` to `out`."""
    ((archive, path),) = files.items()
    extract(path, scratch / "raw", ArchiveLimits.of(archive), progress)
    _take(scratch / "raw" / folder, out, path)


def build_folders(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Extract all archives, and move the folders at their top to `out`; license texts beside them are left."""
    for archive, path in files.items():
        extract(path, scratch / archive.name, ArchiveLimits.of(archive), progress)
        for folder in filter(Path.is_dir, (scratch / archive.name).iterdir()):
            folder.rename(out / folder.name)


def _take(folder: Path, out: Path, archive: Path) -> None:
    """Move the content of `folder` to `out`; UMTError if the archive has no such folder."""
    if not folder.is_dir():
        raise SourceError(f"{archive}: no folder {folder.name} in it; get the official archive")
    for path in folder.iterdir():
        path.rename(out / path.name)
