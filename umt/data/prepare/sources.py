"""The official files as data: where they are, their checksum, and what is at most in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from umt.data.prepare.extract import Limits
from umt.declarations import build, read_mapping

SOURCES = Path(__file__).with_name("sources.yaml")


@dataclass(frozen=True)
class Source:
    """An official file; `get` says how people come by one that cannot be downloaded by itself."""

    url: str = ""
    md5: str = ""
    get: str = ""
    files: int = 0  # at most in the archive
    gigabytes: float = 0.0  # at most out of the archive

    @property
    def limits(self) -> Limits:
        return Limits(self.files, int(self.gigabytes * 1e9))


@cache
def sources() -> dict[str, Source]:
    """Every official file by its name."""
    return {name: build(Source, values, f"{SOURCES}: {name}") for name, values in read_mapping(SOURCES).items()}
