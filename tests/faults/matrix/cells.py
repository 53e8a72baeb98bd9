"""The doors of the matrix, and the outcomes that a cell can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Named:
    """A UMTError of one line names the file; `reason` is for the page."""

    reason: str = "named"


@dataclass(frozen=True)
class AsBefore:
    """Read the same as without the fault."""

    reason: str


@dataclass(frozen=True)
class LeftOut:
    """Read as if there were no such file; a line in the log names it if `told`, and the rest is as before."""

    reason: str = "left out, in a line"
    told: bool = True


@dataclass(frozen=True)
class Either:
    """Depending on the moment: named, or read as before."""

    reason: str = "named, or read as it was"
    or_left_out: bool = False


@dataclass(frozen=True)
class Elsewhere:
    """Another test has this cell, `FILE::TEST` below `tests`."""

    test: str
    reason: str


@dataclass(frozen=True)
class Never:
    """It cannot happen, for the reason that is said."""

    reason: str


Cell: TypeAlias = Named | AsBefore | LeftOut | Either | Elsewhere | Never

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


@dataclass(frozen=True)
class Door:
    """A door for files; `make` gives the sound file in an empty folder, `read` a plain value of what is read of it."""

    name: str
    opened_by: str  # for the page
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    cells: Mapping[str, Cell] = field(
        default_factory=dict
    )  # that differ from the usual ones, by fault or fault/variant
