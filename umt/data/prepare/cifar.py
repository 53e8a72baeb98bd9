"""CIFAR's archives for C programs: fixed records of a label and 32x32 pixels, written as a PNG file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import Progress

from umt.data.archives import Archive
from umt.data.prepare.extract import ArchiveLimits, extract
from umt.errors import SourceError
from umt.files import component, read_plain

SIDE = 32  # pixels
PIXELS = 3 * SIDE * SIDE  # bytes: all of red, then green, then blue


@dataclass(frozen=True)
class Records:
    """The files of an archive: a list of class names, and records of `label_bytes`, the last the class, and pixels."""

    folder: str
    names: str
    files: Mapping[str, tuple[str, ...]]
    label_bytes: int


def build(records: Records, files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Write each image as `SPLIT/CLASS/NUMBER.png`, numbered in the order of the split."""
    ((archive, path),) = files.items()
    extract(path, scratch, ArchiveLimits.of(archive), progress)
    folder = scratch / records.folder
    try:
        names = [component(name) for name in read_plain(folder / records.names).decode().split()]
        for split, parts in records.files.items():
            _write(b"".join(read_plain(folder / part) for part in parts), records, names, out / split)
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise SourceError(f"{path}: is not the official archive ({error}); get it again") from error


def _write(content: bytes, records: Records, names: list[str], out: Path) -> None:
    rows = np.frombuffer(content, np.uint8).reshape(-1, records.label_bytes + PIXELS)
    for name in names:
        (out / name).mkdir(parents=True)
    for number, row in enumerate(rows):
        pixels = row[records.label_bytes :].reshape(3, SIDE, SIDE).transpose(1, 2, 0)
        Image.fromarray(pixels).save(out / names[row[records.label_bytes - 1]] / f"{number:05d}.png")
