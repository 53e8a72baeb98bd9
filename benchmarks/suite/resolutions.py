"""A suite at several resolutions: `umt run --resolutions`. Each column becomes one for every resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks.suite.protocols import protocol_record
from benchmarks.suite.suite import Column, Suite
from umt.errors import OptionError
from umt.files import atomic_file

FOLDER = "protocols"  # of a run, for the files of these protocols


def suite_at(suite: Suite, resolutions: Sequence[int], out: Path) -> Suite:
    """Return the suite with its columns at each resolution, in pixels; their protocols are written below `out`.

    Columns whose protocol has no field `resolution` are left out. Raises OptionError if none is left.
    """
    tables = {
        name: replace(table, columns=tuple(at for column in table.columns for at in _columns(column, resolutions, out)))
        for name, table in suite.tables.items()
    }
    tables = {name: table for name, table in tables.items() if table.columns}
    if not tables:
        raise OptionError(f"--resolutions: no task of suite '{suite.name}' has a resolution")
    return replace(suite, tables=tables)


def name_at(name: str, resolutions: Sequence[int]) -> str:
    """Return the name of the suite, which its folder has: 'vfm-at-224-448'."""
    return "-".join([name, "at", *map(str, resolutions)])


def protocol_name_at(name: str, resolution: int) -> str:
    """Return the name of a protocol at a resolution: 'small-224'."""
    return f"{name}-{resolution}"


def _columns(column: Column, resolutions: Sequence[int], out: Path) -> Iterator[Column]:
    record = protocol_record(column.task, column.protocol)
    if "resolution" not in record:
        return
    for resolution in resolutions:
        path = out / FOLDER / column.task / f"{protocol_name_at(column.protocol_name, resolution)}.yaml"
        content = {**record, "about": f"{record['about']}, at {resolution} pixels", "resolution": resolution}
        content.pop("extends", None)  # its fields are in the record
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
        yield replace(column, heading=f"{column.heading} {resolution}", protocol=str(path), resolution=resolution)
