"""The declaration of a table: its numbers, their groups, and the published numbers beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class AskedColumn(Protocol):
    """A column as a suite asks for it."""

    @property
    def heading(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def protocol_name(self) -> str: ...
    @property
    def metric(self) -> str: ...


@dataclass(frozen=True)
class Family:
    """A group of rows: the paper's names of its architectures, and a pattern over the architectures of ours."""

    title: str
    published: tuple[str, ...]
    architectures: str

    def holds(self, architecture: str) -> bool:
        """Return True if a backbone of that architecture belongs to this group."""
        return re.match(self.architectures, architecture) is not None


@dataclass(frozen=True)
class Published:
    """A table of the paper and its match with measured columns: (task, data set, protocol, metric) -> CSV field."""

    number: int
    labels: Mapping[str, str]  # heading -> CSV field; the first is the name of the row
    family: str  # CSV field that tells the group
    columns: Mapping[tuple[str, str, str, str], str]
    quoted: str  # CSV field that is set if the paper itself repeats an official result


@dataclass(frozen=True)
class Declaration:
    """A table; its columns of numbers come from the suite."""

    name: str  # of its files
    title: str
    number: str = ""  # "Table 1" as the paper numbers it
    families: tuple[Family, ...] = ()
    published: Published | None = None
