"""What lies in a cache folder, and what of it may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import Timeout

from umt.errors import MissingFileError
from umt.feature_cache.entry import Entry


@dataclass(frozen=True)
class Stored:
    """An entry as it lies there; `key` is None for one that is unfinished or damaged."""

    entry: Entry
    key: dict[str, Any] | None
    size: int  # bytes of all its files
    used: datetime  # when it was last read or written, UTC


def stored_entries(folder: Path) -> list[Stored]:
    """All entries, the one that was used last first; UMTError where there is no such folder."""
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: no such folder; `umt run` makes one below its results")
    names = {path.stem for suffix in ("json", "npy", "partial") for path in folder.glob(f"*.{suffix}")}
    return sorted((_look(Entry(folder, name)) for name in names), key=lambda found: found.used, reverse=True)


def to_prune(
    entries: Iterable[Stored],
    now: datetime,
    older_than: timedelta | None,
    keep_bytes: float | None,
    weights: str | None,
) -> list[Stored]:
    """Those that were not used for so long, those beyond the size that is kept, and those of these weights.

    entries: the last used first. weights: the first digits of their hash, or the backbone's spec.
    """
    chosen, kept = [], 0
    for found in entries:
        old = older_than is not None and now - found.used > older_than
        beyond = keep_bytes is not None and kept + found.size > keep_bytes
        if old or beyond or (weights is not None and _is_of(found, weights)):
            chosen.append(found)
        else:
            kept += found.size
    return chosen


def remove(found: Stored) -> bool:
    """Remove an entry, unless a process is at it; its lock stays, because another process may wait for it."""
    try:
        with found.entry.locked(timeout=0):
            for path in found.entry.files:
                path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _look(entry: Entry) -> Stored:
    header = entry.read_header() or {}
    facts = [path.stat() for path in entry.files if path.is_file()]
    used = max((fact.st_mtime for fact in facts), default=0.0)
    whole = entry.array.is_file() and isinstance(header.get("key"), dict)
    return Stored(
        entry,
        header["key"] if whole else None,
        sum(fact.st_size for fact in facts),
        datetime.fromtimestamp(used, UTC),
    )


def _is_of(found: Stored, weights: str) -> bool:
    key = found.key or {}
    return str(key.get("weights", "")).startswith(weights) or key.get("spec") == weights
