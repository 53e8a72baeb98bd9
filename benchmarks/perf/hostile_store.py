"""A store of 10,000 invalid files, of many kinds, against a store of as many sound results."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.perf.store import results, write_store
from benchmarks.results import MAX_BYTES, ResultStore, read_result
from umt.errors import UMTError

COUNT = 10_000
LIMIT = 1 / 1.2  # share of the time for sound results
MARK = "@value@"

Record = dict[str, Any]
Write = Callable[[Path, Record], object]


def measure(_: torch.device) -> list[PerfRow]:
    """Measure the refusal of a file: at most 1.2 times the time to read a sound file."""
    with tempfile.TemporaryDirectory() as folder:
        return [row(Path(folder), COUNT)]


def row(folder: Path, count: int) -> PerfRow:
    """Compare both stores, read in turns, three times; CPU time."""
    sound, hostile = folder / "sound", folder / "hostile"
    write_store(sound, count)
    write_hostile(hostile, count)
    theirs, ours = interleaved(lambda: refused(sound), lambda: refused(hostile), repeats=3, clock=time.process_time)
    note = f"{refused(sound)} and {refused(hostile)} left out"
    return PerfRow(f"read {count} hostile files", f"{count} sound ones", theirs, ours, LIMIT, note)


def refused(folder: Path) -> int:
    """Read each file of a store; return the number of files that are no results."""
    return sum(_is_refused(path) for path in ResultStore(folder).paths())


def write_hostile(folder: Path, count: int) -> None:
    """Write so many hostile files, of all kinds in turns, in folders of a hundred."""
    for number, (result, write) in enumerate(islice(zip(results(), cycle(HOSTILE.values()), strict=False), count)):
        path = folder / str(number // 100) / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, asdict(result))


def _is_refused(path: Path) -> bool:
    try:
        read_result(path)
    except UMTError:
        return True
    return False


def _text(make: Callable[[str], str]) -> Write:
    """Return a writer that makes a file's text from that of a sound file."""
    return lambda path, record: path.write_text(make(json.dumps(record)))


def _value(value: Any, *fields: str) -> Write:
    """Return a writer of a file without a checksum that has another value in one field, at any depth."""
    return _raw(json.dumps(value), *fields)


def _raw(text: str, *fields: str) -> Write:
    """Return the same writer, given the JSON text of the value."""

    def write(path: Path, record: Record) -> None:
        *outer, last = fields
        part = record
        for name in outer:
            part = part[name]
        part[last] = MARK
        path.write_text(json.dumps(record).replace(f'"{MARK}"', text))

    return write


def _large(path: Path, record: Record) -> None:
    path.write_text(json.dumps(record))
    os.truncate(path, MAX_BYTES + 1)


def _linked(path: Path, record: Record) -> None:
    target = path.with_suffix(".target")
    target.write_text(json.dumps(record))
    path.symlink_to(target)


HOSTILE: dict[str, Write] = {
    "half": _text(lambda text: text[: len(text) // 2]),
    "empty": _text(lambda text: ""),
    "binary": lambda path, record: path.write_bytes(bytes(range(256)) * 4),
    "list": _text(lambda text: f"[{text}]"),
    "another checksum": _text(lambda text: text[:-1] + ', "crc32": 1}'),
    "large": _large,
    "deep": _raw("[" * 100 + "]" * 100, "provenance", "x"),
    "very deep": _raw("[" * 50_000 + "]" * 50_000, "provenance", "x"),
    "integer of 30 digits": _value(10**30, "key", "seed"),
    "integer of 5,000 digits": _raw("1" + "0" * 5000, "key", "seed"),
    "integer in the details": _value([10**30], "details", "x"),
    "text for a number": _value("80", "metrics", "accuracy"),
    "NaN": _value(float("nan"), "wall_seconds"),
    "beyond floats": _raw("1e999", "wall_seconds"),
    "list for a text": _value(["x"], "key", "backbone"),
    "text for a list": _value("abc", "pictures"),
    "number for a mapping": _value(3, "data", "sizes"),
    "null for a part": _value(None, "environment"),
    "unknown field": _value(1, "data", "tilte"),
    "another schema": _value({"a": [1]}, "schema"),
    "link": _linked,
    "dangling link": lambda path, record: path.symlink_to("nothing"),
    "link loop": lambda path, record: path.symlink_to(path.name),
    "device": lambda path, record: path.symlink_to("/dev/zero"),
    "pipe": lambda path, record: os.mkfifo(path),
    "folder": lambda path, record: path.mkdir(),
}
