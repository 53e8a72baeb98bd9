"""Images by the paths that they would have if their tars were extracted.

A folder is taken from tars only if it holds nothing else that is a data set: neither folders nor images.
"""

from __future__ import annotations

import os
import re
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from umt.data.shards.devkit import TRAINING, VALIDATION
from umt.data.shards.index import ShardIndex, TarFile, load_index
from umt.data.shards.members import IMAGE_SUFFIXES
from umt.errors import DataError
from umt.files import open_plain, visible_entries

# `train-000000.tar`, `imagenet1k-validation-00.tar`: shards of all splits in one folder
SPLIT_SHARD = re.compile(r"(?:.*[-_.])?(train|training|val|valid|validation|test|testing)[-_.]\d+\.tar")
OFFICIAL_TARS = {"train": TRAINING, "val": VALIDATION}  # they count beside folders, too
INDICES: dict[Path, ShardIndex] = {}  # of this process, by the folder that the tars would be extracted to


def shard_index(folder: Path) -> ShardIndex | None:
    """Return the index of the class folders that lie in tars in `folder`, or in shards of its name beside it.

    It is None if there are none. Raises UMTError if a tar cannot be read.
    """
    paths = _tars(folder) if folder.is_dir() else _shards_beside(folder)
    if not paths:
        INDICES.pop(folder, None)
        return None
    try:
        tars = tuple(map(TarFile.of, paths))
    except OSError as error:
        raise DataError(f"{folder}: a tar cannot be read ({error.strerror}); copy it again") from error
    index = INDICES.get(folder)
    if index is None or index.tars != tars:
        index = INDICES[folder] = load_index(folder, tars)
    return index


def split_names(root: Path) -> list[str]:
    """Return the splits whose shards lie together in `root`, sorted."""
    return sorted(_split_shards(root))


def open_image(path: Path) -> IO[Any]:
    """Open an image file, or what a tar holds in its place; OSError or UMTError if there is neither."""
    index = INDICES.get(path.parent.parent) if INDICES else None
    if index is None:
        try:
            return open_plain(path, links=True)
        except (FileNotFoundError, NotADirectoryError):
            index = shard_index(path.parent.parent)  # a process that was not forked has read no index yet
            if index is None:
                raise
    content = index.read(path.parent.name, path.name)
    if content is None:
        raise DataError(f"{path}: is no file, and in no tar of {path.parent.parent}; restore it, or start again")
    return BytesIO(content)


def packed_size(path: str) -> int | None:
    """Return the bytes of an image in a tar, None if no tar that was listed holds it."""
    if not INDICES:
        return None
    image = Path(path)  # only here: there may be a million plain files
    index = INDICES.get(image.parent.parent)
    return index.size(image.parent.name, image.name) if index else None


def _tars(folder: Path) -> list[Path]:
    """Return the tars of a folder that holds nothing else to read."""
    entries = _entries(folder)
    if any(is_folder(entry) or entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in entries):
        return []
    return [Path(entry.path) for entry in entries if entry.name.endswith(".tar")]


def _shards_beside(folder: Path) -> list[Path]:
    """Return the shards of the split that `folder` is called by, where that is not there."""
    official = folder.parent / OFFICIAL_TARS.get(folder.name, "")
    return [official] if official.is_file() else _split_shards(folder.parent).get(folder.name, [])


def _split_shards(root: Path) -> dict[str, list[Path]]:
    """Return the shards in a folder by the split that their names tell."""
    shards: dict[str, list[Path]] = {}
    official = {name: split for split, name in OFFICIAL_TARS.items()}
    for path in _tars(root):
        match = SPLIT_SHARD.fullmatch(path.name)
        if split := match[1] if match else official.get(path.name):
            shards.setdefault(split, []).append(path)
    return shards


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return True for a folder, or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return visible_entries(folder)
    except (OSError, ValueError):
        return []
