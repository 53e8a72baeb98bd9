"""What tables need of a large result store, in one file beside it: a cache that is believed file by file.

A line belongs to the result files of one backbone as they were when they were read. A file that has changed since is
read again, and where the index is missing or damaged all of them are. The JSON files stay the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.results import SCHEMA, Data, Environment
from reports.measurement import Measurement, Model, Setup, plain
from umt.errors import UMTError
from umt.files import atomic_file

WORTH = 500  # result files; fewer are read in a tenth of a second
PARTS: dict[str, Any] = {part.__name__: part for part in (Model, Setup, Environment)}  # which many results share
HEADER = [SCHEMA, *([field.name for field in fields(part)] for part in (Measurement, Data, *PARTS.values()))]


def index_file(store: Path) -> Path:
    """Beside the store, whose own time of change says when a result was written last."""
    return store.with_name(f".{store.name}-index.jsonl")


def read_index(store: Path) -> dict[str, list[Measurement]]:
    """What was written for each folder of the store; nothing where the index is no good."""
    try:
        with index_file(store).open("rb") as file:
            lines = _sound(file)
            if json.loads(next(lines)) != json.loads(json.dumps(HEADER)):
                return {}
            return dict(_folders(store, lines))
    except (OSError, ValueError, TypeError, KeyError, IndexError, StopIteration):
        return {}


def write_index(store: Path, folders: Mapping[str, Sequence[Measurement]]) -> None:
    """Write it anew, whole or not at all; where the folder takes no file, there is none."""
    if sum(len(one.files) for folder in folders.values() for one in folder) < WORTH:
        return
    with suppress(OSError, UMTError), atomic_file(index_file(store)) as handle:
        checksum = 0
        for text in chain([json.dumps(HEADER)], _lines(folders)):
            line = f"{text}\n".encode()
            checksum = crc32(line, checksum)
            handle.write(line)
        handle.write(b"%d" % checksum)


def _sound(file: Iterable[bytes]) -> Iterator[bytes]:
    """Lines up to the last, which holds the checksum of all before; ValueError at the end where it is another."""
    checksum, line = 0, b""
    for line in file:
        if not line.endswith(b"\n"):
            break
        checksum = crc32(line, checksum)
        yield line
    if line != b"%d" % checksum:
        raise ValueError("damaged")


def _lines(folders: Mapping[str, Sequence[Measurement]]) -> Iterator[str]:
    """A shared part stands in a line of its own, `{KIND: values}`, ahead of the first folder that numbers it."""
    numbers: dict[str, int] = {}  # of parts, by their text
    known: dict[int, int] = {}  # the same by their identity, to write out each object once

    def number(part: Any) -> Iterator[str]:
        if id(part) not in known:
            text = json.dumps({type(part).__name__: plain(part)}, default=plain)
            if text not in numbers:
                yield text
            known[id(part)] = numbers.setdefault(text, len(numbers))

    for name, folder in folders.items():
        groups = []
        for one in folder:
            for part in (one.model, one.setup, *one.environments):
                yield from number(part)
            parts = known[id(one.model)], known[id(one.setup)], [known[id(part)] for part in one.environments]
            groups.append([*parts, one.files, one.seeds, one.table, one.intervals])
        yield json.dumps([name, groups])


def _folders(store: Path, lines: Iterator[bytes]) -> Iterator[tuple[str, list[Measurement]]]:
    parts: list[Any] = []
    for line in lines:
        read = json.loads(line)
        if isinstance(read, dict):
            parts += [_part(kind, values) for kind, values in read.items()]
            continue
        name, groups = read
        folder = store / name
        yield (
            name,
            [
                Measurement(
                    parts[model], parts[setup], folder, files, seeds, table, [parts[one] for one in used], intervals
                )
                for model, setup, used, files, seeds, table, intervals in groups
            ],
        )


def _part(kind: str, values: list[Any]) -> Any:
    part = PARTS[kind]
    if part is Setup:
        place = next(index for index, field in enumerate(fields(Setup)) if field.name == "data")
        values[place] = Data(*values[place])
    return part(*values)
