"""The outcomes that a cell of the matrix can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Named:
    """A UMTError of one line names the file; `reason` is for the page."""

    reason: str = "named"


@dataclass(frozen=True)
class AsBefore:
    """Read the same as without the fault."""

    reason: str


@dataclass(frozen=True)
class Either:
    """Depending on the moment: named, or read as before."""

    reason: str = "named, or read as it was"


@dataclass(frozen=True)
class Elsewhere:
    """Another test has this cell, `FILE::TEST` below `tests`."""

    test: str
    reason: str


@dataclass(frozen=True)
class Never:
    """It cannot happen, for the reason that is said."""

    reason: str


Cell: TypeAlias = Named | AsBefore | Either | Elsewhere | Never

DEFAULTS: dict[str, Cell] = {
    "missing": Named(),
    "empty": Named(),
    "truncated": Named(),
    "wrong type": Named(),
    "hidden": AsBefore("not listed, not read"),
    "unreadable": Named(),
    "not UTF-8": Named(),
    "odd name": AsBefore("read as any other"),
    "dangling": Named(),
    "huge": Named(),
    "changing": Either(),
}
