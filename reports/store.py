"""Reading a whole result store: what is readable, what is not, and what contradicts itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from benchmarks.results import Key, Result, ResultStore, read_result
from reports.index import read_index, shown, uncollected, write_index
from umt.errors import ResultError, UMTError

ANALYSIS = "analysis"  # the suite of results that `umt analyze` makes: they are in tables of any suite
RESULTS_HELP = "The result store: OUT/results of a run. Default: the newest below runs/."


@dataclass(frozen=True, slots=True)
class Record:
    """A result and the file it was read from; of the result only what tables show, see `index.shown`."""

    path: Path
    result: Result


def newest_store(runs: Path = Path("runs")) -> Path:
    """The result store below `runs` that was written last; UMTError where there is none."""
    stores = [folder for folder in runs.glob("*/results") if folder.is_dir()]
    if not stores:
        raise ResultError(
            f"{runs}/*/results: no result store there; name one with --results, or make one with `umt run`"
        )
    return max(stores, key=lambda folder: max(path.stat().st_mtime_ns for path in (folder, *folder.iterdir())))


def read_store(folder: Path) -> tuple[list[Record], list[UMTError]]:
    """All results below a folder, and one error for every file that cannot be read.

    UMTError where there is no such folder, or where two files give the same job different numbers.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such result store; `umt run` makes one below its --out folder, as OUT/results")
    stamps = ResultStore(folder).stamps()
    known = read_index(folder, stamps)
    results, problems = {}, []
    for name in stamps:
        try:
            results[name] = known.get(name) or _read(folder / name)
        except UMTError as error:
            problems.append(error)
    if len(known) < len(results):
        write_index(folder, stamps, results)
    with uncollected():
        return _without_copies(Record(folder / name, result) for name, result in results.items()), problems


def _read(path: Path) -> Result:
    return shown(_checked(read_result(path), path))


def _checked(result: Result, path: Path) -> Result:
    """The result, if its values are of the kinds that its declaration promises, and its metrics are finite."""
    for part in (result, result.key, result.data, result.environment):
        declared: Any = type(part)
        for name, hint, kinds in _fields(declared):
            value = getattr(part, name)
            if not isinstance(value, kinds):
                raise _misfit(path, name, value, getattr(hint, "__name__", str(hint)))
    for name, value in result.metrics.items():
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _misfit(path, f"metrics.{name}", value, "a finite number")
    return result


@cache
def _fields(declared: Any) -> list[tuple[str, Any, tuple[type, ...]]]:
    """Name, type hint and classes of each field; looking them up takes longer than reading a result."""
    return [(name, hint, _kinds(hint)) for name, hint in get_type_hints(declared).items()]


def _kinds(hint: Any) -> tuple[type, ...]:
    """Classes whose instances fit a type hint; JSON writes a whole float as an integer."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = [get_origin(option) or option for option in options]
    return (*kinds, int) if float in kinds else tuple(kinds)


def _without_copies(records: Iterable[Record]) -> list[Record]:
    """One record a job: a copied file counts once, a contradiction is an error."""
    found: dict[Key, Record] = {}
    for record in records:
        first = found.setdefault(record.result.key, record)
        if first.result.metrics != record.result.metrics:
            raise ResultError(
                f"{first.path} and {record.path}: different values ({dict(first.result.metrics)}, "
                f"{dict(record.result.metrics)}) for the same job ({', '.join(map(str, astuple(first.result.key)))}); "
                "delete the wrong one"
            )
    return list(found.values())


def _misfit(path: Path, name: str, value: object, expected: str) -> UMTError:
    return ResultError(f"{path}: field '{name}' is {value!r:.80}, expected {expected}; delete it and run the job again")
