"""What tables need of a large result store, in one file beside it: a cache that is believed file by file.

Each line belongs to one result file as it was when it was read. Where the file has changed the line says nothing, and
where the index is missing or damaged all files are read and it is written anew. The JSON files stay the truth.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from sys import intern
from typing import Any

from benchmarks.results import SCHEMA, Data, Environment, Key, Result
from umt.errors import UMTError
from umt.files import atomic_file

NOTHING: dict[str, Any] = {}  # one for all
WORTH = 500  # result files; fewer are read in a tenth of a second
KEPT = ("interval", "settings", "against")  # details that tables show
SHARED = (  # fields that are equal in many results, stored once
    "spec", "architecture", "suite", "units", "lower_is_better", "data", "environment", "footnote", "pictures",
    "provenance",
)  # fmt: skip
SCALARS = tuple(field.name for field in fields(Result) if field.name not in ("key", *SHARED))
NAMES = (*SHARED, *SCALARS)
MADE: dict[str, Any] = {"data": Data, "environment": Environment}
HEADER = [SCHEMA, KEPT, NAMES, *([field.name for field in fields(part)] for part in (Key, Data, Environment))]


def index_file(store: Path) -> Path:
    """Beside the store, whose own time of change says when a result was written last."""
    return store.with_name(f".{store.name}-index.jsonl")


def shown(result: Result) -> Result:
    """Without what no table shows: other details, and the start time of each run."""
    details = {name: value for name, value in result.details.items() if name in KEPT}
    return replace(result, details=details or NOTHING, environment=replace(result.environment, started=""))


def read_index(store: Path, stamps: Mapping[str, str]) -> dict[str, Result]:
    """The results of files that have not changed, by their path below the store; none where the index is no good."""
    try:
        with index_file(store).open(encoding="utf-8") as lines:
            if json.loads(next(lines)) != json.loads(json.dumps(HEADER)):
                return {}
            with uncollected():
                return dict(_believed(lines, stamps))
    except (OSError, ValueError, TypeError, KeyError, IndexError, StopIteration):
        return {}


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection, which looks again and again for garbage in results that all stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def write_index(store: Path, stamps: Mapping[str, str], results: Mapping[str, Result]) -> None:
    """Write it anew, whole or not at all; where the folder takes no file, there is none."""
    if len(results) < WORTH:
        return
    with suppress(OSError, UMTError), atomic_file(index_file(store)) as handle:
        handle.write(f"{json.dumps(HEADER)}\n".encode())
        for line in _lines(stamps, results):
            handle.write(f"{line}\n".encode())


def _lines(stamps: Mapping[str, str], results: Mapping[str, Result]) -> Iterator[str]:
    """A part that results share stands in a line of its own, `{FIELD: value}`, ahead of the first that numbers it."""
    numbers: dict[str, int] = {}
    for name, result in results.items():
        parts = [json.dumps({field: _plain(getattr(result, field))}) for field in SHARED]
        for text in parts:
            if text not in numbers:
                numbers[text] = len(numbers)
                yield text
        scalars = [getattr(result, field) for field in SCALARS]
        yield json.dumps([name, stamps[name], _plain(result.key), [numbers[text] for text in parts], scalars])


def _believed(lines: Iterator[str], stamps: Mapping[str, str]) -> Iterator[tuple[str, Result]]:
    parts: list[Any] = []
    for line in lines:
        read = json.loads(line)
        if isinstance(read, dict):
            parts += [MADE[field](*value) if field in MADE else value for field, value in read.items()]
            continue
        name, stamp, key, numbers, scalars = read
        if stamps.get(name) == stamp:
            values = zip(NAMES, [*(parts[number] for number in numbers), *scalars], strict=True)
            yield name, Result(_key(key), **dict(values))


def _key(values: list[Any]) -> Key:
    """Many keys are made of the same texts, which are kept once."""
    fields_of_key: list[Any] = [intern(value) if isinstance(value, str) else value for value in values]
    return Key(*fields_of_key)


def _plain(part: Any) -> Any:
    """The values of a part in order of its fields."""
    return [getattr(part, field.name) for field in fields(part)] if is_dataclass(part) else part
