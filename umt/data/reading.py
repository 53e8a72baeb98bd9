"""Readers of the forms that official data sets come in: class folders, text lists and image/annotation pairs."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from umt.data.contract import LabelledImages, Sample
from umt.data.shards.lookup import INDICES, is_folder, shard_index
from umt.data.shards.members import IMAGE_SUFFIXES
from umt.errors import AbsentError, LayoutError, TrustError
from umt.files import read_plain, visible_entries
from umt.text import brief

MAX_LIST_BYTES = 1 << 26  # bytes of a text list; the longest official list has two million
MAX_LINE_CHARACTERS = 4096  # characters of a list; a path has no more bytes


def subfolders(folder: Path) -> list[str]:
    """Return the names of the visible folders directly below `folder`, or of the classes in its tars, sorted."""
    index = shard_index(folder)
    return index.categories if index else [entry.name for entry in _entries(folder) if is_folder(entry)]


def image_names(folder: Path) -> list[str]:
    """Return the names of the visible image files directly in `folder`, sorted; one listing, no look at each file."""
    if index := INDICES.get(folder.parent):
        return index.names(folder.name)
    return [entry.name for entry in _entries(folder) if entry.name.lower().endswith(IMAGE_SUFFIXES)]


def class_images(folder: Path) -> list[str]:
    """Return the names of the images of one class; UMTError if it has none."""
    names = image_names(folder)
    if not names:
        raise LayoutError(f"{folder}: class folder holds no images; fill it from the official archive, or remove it")
    return names


def foldered_samples(folder: Path, names: Sequence[str], known: Sequence[str]) -> LabelledImages:
    """List the images of the class folders `names` below `folder`, in order; classes are numbered as in `known`."""
    index = {name: label for label, name in enumerate(known)}
    return LabelledImages.of_classes((folder / name, class_images(folder / name), index[name]) for name in names)


def seeded_order(category: str, names: Sequence[str], seed: int) -> list[str]:
    """Sort the images of a class by SHA-256 of `seed/category/name`, or of `category/name` for seed 0.

    The order is the same on every machine, in any order of the files, and if other images are missing.
    """
    salt = f"{seed}/{category}" if seed else category
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode(errors="surrogateescape")).digest())


def read_table(path: Path, columns: int) -> list[list[str]]:
    """Read the rows of a text list with `columns` fields separated by blanks; the last field may hold blanks itself.

    The text is UTF-8 with or without a byte order mark, with any line ends.
    """
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split(maxsplit=columns - 1)
        if len(line) > MAX_LINE_CHARACTERS or (fields and len(fields) != columns):
            raise LayoutError(
                f"{path}: line {number} is {brief(line)}, expected {columns} fields in at most {MAX_LINE_CHARACTERS:,} "
                "characters; extract the archive again"
            )
        if fields:
            rows.append([field.strip() for field in fields])
    return rows


def listed_samples(folder: Path, entries: Sequence[tuple[str, int]], source: Path) -> list[Sample]:
    """Return samples of (path below `folder`, class) entries of the list `source`.

    Raises UMTError if an entry is there twice, has no file, or lies outside the folder.
    """
    for name, _ in entries:
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise TrustError(
                f"{source}: {brief(name)} is no path below {folder}, where its images are; extract the archive again"
            )
    refuse_twice([name for name, _ in entries], source)
    missing = _first_missing(folder, (name for name, _ in entries))
    if missing is not None:
        raise LayoutError(f"{folder / missing}: image is listed in {source} but missing; extract the archive again")
    return [Sample(folder / name, label) for name, label in entries]


def refuse_twice(names: Iterable[str], source: Path) -> None:
    """Raise UMTError if a list holds a name twice: an image would count double, a class would stay empty."""
    earlier_names: set[str] = set()
    for name in names:
        if name in earlier_names:
            raise LayoutError(f"{source}: '{name}' comes twice; extract the official archive again")
        earlier_names.add(name)


def annotated_samples(root: Path, split: str) -> list[Sample]:
    """List `images/SPLIT` in order of name, each with the PNG of the same stem in `annotations/SPLIT`."""
    return annotated_pairs(root / "images" / split, root / "annotations" / split)


def annotated_pairs(images: Path, annotations: Path) -> list[Sample]:
    """List the images of a folder in order of name, each with the PNG of the same stem in another folder.

    Raises UMTError if an image has none.
    """
    have = set(image_names(annotations))
    names = [(name, f"{Path(name).stem}.png") for name in image_names(images)]
    refuse_twice((annotation for _, annotation in names), images)
    for image, annotation in names:
        if annotation not in have:
            raise LayoutError(
                f"{images / image}: no annotation {annotations / annotation}; add it, or remove the image"
            )
    return [Sample(images / image, annotations / annotation) for image, annotation in names]


def _lines(path: Path) -> list[str]:
    try:
        return read_plain(path, links=True, max_bytes=MAX_LIST_BYTES).decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise LayoutError(f"{path}: file of the data set is missing; extract the official archive again") from None
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); extract the official archive again") from error
    except UnicodeDecodeError as error:
        raise LayoutError(f"{path}: cannot be read ({error}); extract the official archive again") from error


def _first_missing(folder: Path, names: Iterable[str]) -> str | None:
    """Return the first path that no listing shows; each folder that is named is listed once."""
    by_parent: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parent, _, file = name.rpartition("/")
        by_parent[parent].append(file)
    for parent, files in by_parent.items():
        have = set(image_names(folder / parent))
        for file in files:
            if file not in have:
                return f"{parent}/{file}" if parent else file
    return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return visible_entries(folder)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a name that holds a NUL
        raise AbsentError(f"{folder}: folder of the data set is missing; extract the official archive again") from None
    except OSError as error:
        raise LayoutError(f"{folder}: cannot be listed ({error.strerror}); let this user read it") from error
