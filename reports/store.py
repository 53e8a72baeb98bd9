"""Reading a whole result store: what is readable, what is not, and what contradicts itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from benchmarks.results import Result, ResultStore, read_result
from reports.index import read_index, write_index
from reports.measurement import Measurement, Shared, grouped, measured
from umt.errors import ResultError, UMTError

ANALYSIS = "analysis"  # the suite of results that `umt analyze` makes: they are in tables of any suite
RESULTS_HELP = "The result store: OUT/results of a run. Default: the newest below runs/."


def newest_store(runs: Path = Path("runs")) -> Path:
    """The result store below `runs` that was written last; UMTError where there is none."""
    stores = [folder for folder in runs.glob("*/results") if folder.is_dir()]
    if not stores:
        raise ResultError(
            f"{runs}/*/results: no result store there; name one with --results, or make one with `umt run`"
        )
    return max(stores, key=lambda folder: max(path.stat().st_mtime_ns for path in (folder, *folder.iterdir())))


def read_store(folder: Path) -> tuple[list[Measurement], list[UMTError]]:
    """All results below a folder, and one error for every file that cannot be read.

    UMTError where there is no such folder, or where two files give the same job different numbers.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such result store; `umt run` makes one below its --out folder, as OUT/results")
    stamps = ResultStore(folder).stamps()
    known, shared = read_index(folder), Shared()
    problems: list[UMTError] = []
    found = {
        name: _folder(folder / name, files, known.get(name, []), shared, problems) for name, files in stamps.items()
    }
    if any(found[name] is not known.get(name) for name in found):
        write_index(folder, found)
    return _without_copies([one for part in found.values() for one in part]), problems


def _folder(
    folder: Path, stamps: Mapping[str, str], known: list[Measurement], shared: Shared, problems: list[UMTError]
) -> list[Measurement]:
    """The results of a folder: what is known of files that are as they were, and the others read."""
    before = {name: stamp for one in known for name, stamp in one.files.items()}
    if before == stamps:
        return known
    same = {name for name, stamp in before.items() if stamps.get(name) == stamp}
    read = []
    for name in sorted(stamps.keys() - same):
        try:
            read.append(_read(folder / name, stamps[name]))
        except UMTError as error:
            problems.append(error)
    if not read and len(same) == len(before):
        return known
    kept = (one.only([place for place, name in enumerate(one.files) if name in same]) for one in known)
    return grouped((*(one for one in kept if one.seeds), *read), shared)


def _read(path: Path, stamp: str) -> Measurement:
    return measured(path, _checked(read_result(path), path), stamp)


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


def _without_copies(measurements: Sequence[Measurement]) -> list[Measurement]:
    """One run a job: a copied file counts once, a contradiction is an error."""
    models = {id(one.model): one.model for one in measurements}
    setups = {id(one.setup): one.setup for one in measurements}
    model_numbers = _numbered({identity: model.key for identity, model in models.items()})
    job_numbers = _numbered({identity: setup.job for identity, setup in setups.items()})
    jobs: dict[tuple[int, int], list[Measurement]] = {}
    for one in measurements:
        jobs.setdefault((model_numbers[id(one.model)], job_numbers[id(one.setup)]), []).append(one)
    return [one for same in jobs.values() for one in (_distinct(same) if _repeats(same) else same)]


def _numbered(keys: Mapping[int, tuple[str, ...]]) -> dict[int, int]:
    """Equal keys as equal numbers, which are compared much faster than tuples of texts."""
    numbers: dict[tuple[str, ...], int] = {}
    return {identity: numbers.setdefault(key, len(numbers)) for identity, key in keys.items()}


def _repeats(same: Sequence[Measurement]) -> bool:
    """Whether a seed stands in more than one run."""
    seeds = same[0].seeds if len(same) == 1 else [seed for one in same for seed in one.seeds]
    return len(set(seeds)) < len(seeds)


def _distinct(same: Sequence[Measurement]) -> Iterator[Measurement]:
    """Measurements of one job but for the seeds, each with the runs whose seed is in none before."""
    first: dict[int, tuple[Path, dict[str, float]]] = {}
    for one in same:
        new = []
        for place, run in enumerate(one.runs):
            values = {name: row[place] for name, row in zip(one.setup.metrics, one.table, strict=True)}
            if run.seed not in first:
                first[run.seed] = run.path, values
                new.append(place)
            elif first[run.seed][1] != values:
                raise _contradiction(first[run.seed], (run.path, values), (*one.model.key, *one.setup.job, run.seed))
        if new:
            yield one.only(new)


def _contradiction(
    one: tuple[Path, dict[str, float]], other: tuple[Path, dict[str, float]], job: Sequence[object]
) -> UMTError:
    return ResultError(
        f"{one[0]} and {other[0]}: different values ({one[1]}, {other[1]}) for the same job "
        f"({', '.join(map(str, job))}); delete the wrong one"
    )


def _misfit(path: Path, name: str, value: object, expected: str) -> UMTError:
    return ResultError(f"{path}: field '{name}' is {value!r:.80}, expected {expected}; delete it and run the job again")
