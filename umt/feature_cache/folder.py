"""The content of a cache folder, and the choice of entries to remove."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import Timeout

from umt.errors import MissingFileError, WriteError
from umt.feature_cache.entry import CacheEntry
from umt.files import visible_entries

MAX_TIMESTAMP = datetime.max.replace(tzinfo=UTC).timestamp() - 86400  # latest time that a file may have


@dataclass(frozen=True)
class StoredFeatures:
    """An entry in the folder; `key` is None for an unfinished or damaged entry."""

    entry: CacheEntry
    key: dict[str, Any] | None
    size: int  # bytes of all its files
    used: datetime  # when it was last read or written, UTC


def stored_entries(folder: Path) -> list[StoredFeatures]:
    """Return all entries, the last used first; UMTError if there is no such folder."""
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: no such folder; `umt run` makes one below its results")
    try:
        paths = list(map(Path, visible_entries(folder)))
    except OSError as error:
        raise MissingFileError(f"{folder}: cannot be listed ({error.strerror}); let this user read it") from error
    names = {path.stem for path in paths if path.suffix in (".json", ".npy", ".partial")}
    return sorted((_inspect(CacheEntry(folder, name)) for name in names), key=lambda stored: stored.used, reverse=True)


def to_prune(
    entries: Iterable[StoredFeatures],
    now: datetime,
    older_than: timedelta | None,
    keep_bytes: float | None,
    backbone: str | None,
) -> list[StoredFeatures]:
    """Return the entries that were not used for so long, those beyond the size to keep, and those of a backbone.

    entries: the last used first. backbone: the first digits of its weights' hash, or its spec.
    """
    pruned_entries, kept_bytes = [], 0
    for stored in entries:
        old = older_than is not None and now - stored.used > older_than
        beyond = keep_bytes is not None and kept_bytes + stored.size > keep_bytes
        if old or beyond or (backbone is not None and _is_of(stored, backbone)):
            pruned_entries.append(stored)
        else:
            kept_bytes += stored.size
    return pruned_entries


def remove(stored: StoredFeatures) -> bool:
    """Remove an entry unless a process holds it; its lock stays, because another process may wait for it.

    A link is removed, not its target; a folder stays.
    """
    try:
        with stored.entry.locked(timeout=0):
            for path in stored.entry.files:
                if path.is_symlink() or not path.is_dir():
                    path.unlink(missing_ok=True)
    except (Timeout, WriteError):
        return False
    return True


def _inspect(entry: CacheEntry) -> StoredFeatures:
    key = (entry.read_header() or {}).get("key")
    files = {path: path.lstat() for path in entry.files if os.path.lexists(path)}
    facts = [fact for fact in files.values() if stat.S_ISREG(fact.st_mode)]
    used = max((fact.st_mtime for fact in facts), default=0.0)
    is_complete = entry.array in files and stat.S_ISREG(files[entry.array].st_mode) and _is_key(key)
    return StoredFeatures(
        entry,
        key if is_complete else None,
        sum(fact.st_size for fact in facts),
        datetime.fromtimestamp(min(max(used, 0.0), MAX_TIMESTAMP), UTC),
    )


def _is_key(key: Any) -> bool:
    """Return true if a header's key has the fields that are shown of entries."""
    try:
        extraction = key["extraction"]
        texts = (key["spec"], key["weights"], extraction["what"], extraction["precision"])
        return all(isinstance(text, str) for text in texts) and all(
            isinstance(number, int) for number in (extraction["resolution"], key["images"]["count"])
        )
    except (KeyError, TypeError, IndexError):
        return False


def _is_of(stored: StoredFeatures, backbone: str) -> bool:
    key = stored.key or {}
    return str(key.get("weights", "")).startswith(backbone) or key.get("spec") == backbone
