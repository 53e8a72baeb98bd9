"""The official files of a data set, and the folders that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True)
class Archive:
    """An official file, with limits of about twice its real content; no MD5 is guessed, each has a public source."""

    name: str  # "CUB_200_2011.tgz"
    url: str = ""  # empty if it can be had only by registering or by hand
    md5: str = ""
    get: str = ""  # tells people how to get a file without a url
    files: int = 0  # entries in the archive, at most
    gigabytes: float = 0.0  # content of the archive, at most

    @property
    def remedy(self) -> str:
        """The way to get the file, for an error."""
        return self.get or f"get it from {self.url}"


# Fills the empty folder `out` from the files, in the work folder `scratch` if need be: (files, out, scratch, progress).
Builder: TypeAlias = "Callable[[Mapping[Archive, Path], Path, Path, Progress], None]"


@dataclass(frozen=True)
class Part:
    """A folder below the data root that appears whole, the official files it is made of, and its builder."""

    target: str  # "imagenet/val"
    archives: tuple[Archive, ...]
    build: Builder
