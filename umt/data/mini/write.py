"""The writer of the embedded data: each data set whole or not at all, the same bytes every time, and only once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from umt.data.contract import MARKER, MiniVersion, read_marker
from umt.data.registry import BUILT_IN, dataset_info
from umt.errors import WriteError
from umt.locks import lock

MADE_BY = "umt data mini"
VERSION = 1  # raised whenever the content changes
NO_COUNTS: Mapping[str, Any] = {}


def mini_versions() -> dict[str, MiniVersion]:
    """Return the embedded versions that data sets of the package declare, by the name of the set."""
    return {name: version for name in BUILT_IN if (version := dataset_info(name).mini)}


def write_mini(out: Path, counts: Mapping[str, Any] = NO_COUNTS, names: Container[str] | None = None) -> None:
    """Write the embedded data of the example below the data root `out`, and of other sets those in `names`, or all.

    Complete ones that exist are left alone. `counts` has other numbers of items than the sets declare, by their names.
    """
    for name, version in mini_versions().items():
        if names is None or name in names or version.example:
            write_set(name, out, counts)


def write_set(name: str, out: Path, counts: Mapping[str, Any] = NO_COUNTS) -> Path:
    """Write one embedded data set and return its folder; UMTError if the folder holds other data.

    It takes its name only when complete, and one process at a time writes below `out`.
    """
    version, folder = mini_versions()[name], out / dataset_info(name).folder
    items = counts.get(name, version.counts)
    origin = {"title": version.title, "real": version.real, "rendered": version.rendered}
    marker = json.dumps({**origin, "made_by": MADE_BY, "version": VERSION, "counts": items}, indent=1)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(out / ".umt-mini.lock"):
            if not _is_current(folder, marker):
                _replace(folder, lambda unfinished: version.write(unfinished, items), marker)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error}); choose another data root") from error
    return folder


def _is_current(folder: Path, marker: str) -> bool:
    """Return whether the folder holds the data that `marker` describes; UMTError if it holds somebody else's data."""
    if not folder.exists():
        return False
    marked = read_marker(folder)
    if marked.get("made_by") != MADE_BY:
        raise WriteError(f"{folder}: holds other data, which is not overwritten; choose another data root")
    return marked == json.loads(marker)


def _replace(folder: Path, write: Callable[[Path], None], marker: str) -> None:
    unfinished = folder.parent / f".partial-{folder.name}"
    shutil.rmtree(unfinished, ignore_errors=True)  # left by an interrupted run
    unfinished.mkdir()
    write(unfinished)
    (unfinished / MARKER).write_text(marker)
    shutil.rmtree(folder, ignore_errors=True)  # left by an older version
    unfinished.rename(folder)
