"""The labelled images of one tar file: those of one class, class folders, or the samples of a WebDataset shard."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from umt.data.shards.plain_tar import PlainMember, PlainTar, tar_kind
from umt.errors import LayoutError, UMTError, first_line
from umt.files import MAX_NAME_BYTES, hidden, open_plain
from umt.text import brief, printable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
LABELS = ("cls", "json")  # extensions of a WebDataset's labels; the first one that a sample has counts
JSON_FIELDS = ("cls", "label")  # that hold the class in a sample's JSON
MAX_IMAGE_BYTES = 1 << 28  # of an image, which is read whole; photographs have a hundredth of it
MAX_LABEL_BYTES = 1 << 16  # of a label; a JSON may hold captions
NUMBER_DIGITS = 5  # of a class that only has a number, so that names are in the order of the numbers


class Member(NamedTuple):
    """A file inside a tar: its path there, and its place."""

    path: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class PackedImage(NamedTuple):
    """An image in a tar with its class; `category` and `name` are plain parts of a path."""

    category: str
    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class TarScan:
    """A tar that is looked through once; `categories` are the names of classes that have only numbers in it."""

    path: Path
    categories: Sequence[str] = ()

    def images(self) -> Iterator[PackedImage]:
        """Yield all images; UMTError if the tar is compressed or damaged, or an entry is none of a data set."""
        try:
            with open_plain(self.path, links=True) as file:
                for category, members in self._groups(file, self.path.stem):
                    yield from self._labelled(category, members, file)
        except OSError as error:
            raise LayoutError(f"{self.path}: cannot be read ({error.strerror}); copy it again") from error
        except tarfile.TarError as error:
            raise self._refusal(f"is no plain tar that can be read ({first_line(error)})") from error

    def _groups(self, file: IO[bytes], category: str, start: int = 0) -> Iterator[tuple[str, list[Member]]]:
        """Yield the files of a tar with its class; before them those of the tars of classes in it, each by itself."""
        members = []
        with PlainTar.open(fileobj=file, mode="r:", tarinfo=PlainMember) as tar:
            for info in tar:
                kind = tar_kind(info) or ("a path outside the tar" if ".." in info.name.split("/") else "")
                if kind:
                    raise self._refusal(f"entry '{printable(info.name[:MAX_NAME_BYTES])}' is {kind}")
                member = Member(info.name, start + info.offset_data, info.size)
                if not start and member.name.endswith(".tar"):
                    yield from self._groups(tar.extractfile(info), member.name[:-4], member.offset)  # type: ignore[arg-type]
                elif info.isreg() and not any(map(hidden, _parts(info.name))):
                    members.append(member)
            self._refuse_cut(tar, file)
        yield category, members

    def _refuse_cut(self, tar: PlainTar, file: IO[bytes]) -> None:
        """Raise UMTError if there is no end mark behind the last entry, where tarfile stops without an error."""
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise self._refusal(f"is no plain tar from byte {tar.offset:,} on, as if it were cut")

    def _labelled(self, category: str, members: Sequence[Member], file: IO[bytes]) -> Iterator[PackedImage]:
        """Yield images with their classes: by labels beside them, else by their folder, else by the name of the tar."""
        if any(member.name.endswith(tuple(f".{label}" for label in LABELS)) for member in members):
            yield from self._samples(members, file)
            return
        for member in members:
            if member.name.lower().endswith(IMAGE_SUFFIXES):
                folder = _parts(member.path)[-2:-1]
                yield self._image(folder[0] if folder else category, member.name, member)

    def _samples(self, members: Sequence[Member], file: IO[bytes]) -> Iterator[PackedImage]:
        """Yield the images of a WebDataset shard: what is named alike up to the first dot is one sample."""
        by_extension = {(*_key_and_extension(member.path),): member for member in members}
        for (key, extension), member in by_extension.items():
            if f".{extension.lower()}" in IMAGE_SUFFIXES:
                labels = (by_extension.get((key, label)) for label in LABELS)
                label = next((label for label in labels if label), None)
                if label is None:
                    raise self._refusal(f"image '{printable(member.path)}' has no .cls or .json beside it")
                yield self._image(self._category(label, file), member.name, member)

    def _category(self, label: Member, file: IO[bytes]) -> str:
        """Return the class that a label names by its number."""
        number = _number(os.pread(file.fileno(), min(label.size, MAX_LABEL_BYTES), label.offset), label.name)
        if number is None or (self.categories and number >= len(self.categories)):
            limit = f"below {len(self.categories)}" if self.categories else "from 0 on"
            raise self._refusal(f"'{printable(label.path)}' holds no number of a class {limit}")
        return self.categories[number] if self.categories else f"{number:0{NUMBER_DIGITS}d}"

    def _image(self, category: str, name: str, member: Member) -> PackedImage:
        if member.size > MAX_IMAGE_BYTES:
            raise self._refusal(
                f"{brief(member.path)} has {member.size:,} bytes, at most {MAX_IMAGE_BYTES:,} are expected of an image"
            )
        for part in (category, name):
            if hidden(part) or "\0" in part or "/" in part or not 0 < len(os.fsencode(part)) <= MAX_NAME_BYTES:
                raise self._refusal(f"{brief(member.path)} gives the name {brief(part)}, which no file could have")
        return PackedImage(category, name, member.offset, member.size)

    def _refusal(self, reason: str) -> UMTError:
        return LayoutError(f"{self.path}: {reason}; write the tar again, or remove it")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _key_and_extension(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    key, _, extension = name.partition(".")
    return f"{folder}/{key}", extension


def _number(content: bytes, name: str) -> int | None:
    """Return the class in a label, None if it holds none."""
    text = content.decode(errors="replace").strip()
    if name.endswith(".json"):
        text = str(_field(text))
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= NUMBER_DIGITS else None


def _field(text: str) -> object:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return next((values[name] for name in JSON_FIELDS if name in values), None) if isinstance(values, Mapping) else None


def refuse_twice(images: Iterable[bytes], folder: Path) -> None:
    """Raise UMTError if two images of sorted paths have the same one."""
    previous = b""
    for image in images:
        if image == previous:
            raise LayoutError(f"{folder}: {brief(os.fsdecode(image))} is in its tars twice; remove one of them")
        previous = image
