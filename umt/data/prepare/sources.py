"""The official files as data: their addresses, their checksums, and the limits of their content."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from umt.data.prepare.extract import Limits
from umt.declarations import build, read_mapping

SOURCES = Path(__file__).with_name("sources.yaml")


@dataclass(frozen=True)
class Source:
    """An official file; `get` tells people how to get a file that cannot be downloaded by itself."""

    url: str = ""
    md5: str = ""
    get: str = ""
    files: int = 0  # entries in the archive, at most
    gigabytes: float = 0.0  # content of the archive, at most

    @property
    def limits(self) -> Limits:
        return Limits(self.files, int(self.gigabytes * 1e9))


@cache
def sources() -> dict[str, Source]:
    """Return every official file by its name."""
    return {name: build(Source, values, f"{SOURCES}: {name}") for name, values in read_mapping(SOURCES).items()}
