"""The sets whose archive is the official folder: extract, and take the folder out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.progress import Progress

from umt.data.prepare.extract import extract
from umt.data.prepare.sources import sources
from umt.errors import SourceError

CATEGORIES = "101_ObjectCategories"


def build_folder(files: Mapping[str, Path], out: Path, scratch: Path, progress: Progress, folder: str) -> None:
    """Extract the one archive, and move the content of its `folder` to `out`."""
    ((name, archive),) = files.items()
    extract(archive, scratch / "raw", sources()[name].limits, progress)
    take(scratch / "raw" / folder, out, archive)


def build_caltech101(files: Mapping[str, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Extract the official zip, then the tar.gz in it, which holds the folder."""
    ((name, archive),) = files.items()
    inner = f"{CATEGORIES}.tar.gz"
    extract(archive, scratch / "zip", sources()[name].limits, progress)
    nested = scratch / "zip" / "caltech-101" / inner
    if not nested.is_file():
        raise SourceError(f"{archive}: no caltech-101/{inner} in it; get the official archive")
    build_folder({inner: nested}, out, scratch, progress, CATEGORIES)


def take(folder: Path, out: Path, archive: Path) -> None:
    """Move the content of `folder` to `out`; UMTError if the archive has no such folder."""
    if not folder.is_dir():
        raise SourceError(f"{archive}: no folder {folder.name} in it; get the official archive")
    for path in folder.iterdir():
        path.rename(out / path.name)
