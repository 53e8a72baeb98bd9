"""Read a whole result store: its readable results, its unreadable files and its contradictions."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.results import Key, ResultStore, read_result
from reports.results.measurement import Measurement, measured
from umt.errors import ResultError, UMTError
from umt.text import brief

if TYPE_CHECKING:
    import pandas as pd

ANALYSIS = "analysis"  # the suite of results that `umt analyze` makes: they are in tables of any suite

Values = tuple[tuple[str, float], ...]  # of a result's metrics, in order of name


def newest_store(runs: Path = Path("runs")) -> Path:
    """Return the result store below `runs` that was written last; UMTError if there is none."""
    times = {folder: _changed(folder) for folder in sorted(runs.glob("*/results"))}
    stores = [folder for folder, time in times.items() if time]
    if not stores:
        raise ResultError(
            f"{runs}/*/results: no result store there; name one with --results, or make one with `umt run`"
        )
    return max(stores, key=times.__getitem__)


def _changed(folder: Path) -> int:
    """Return when the folder or one in it changed last; 0 if it cannot be listed."""
    with suppress(OSError), os.scandir(folder) as entries:
        return max(folder.stat().st_mtime_ns, *(entry.stat(follow_symlinks=False).st_mtime_ns for entry in entries), 1)
    return 0


def read_store(folder: Path) -> tuple[list[Measurement], list[UMTError]]:
    """Read all results below a folder; return an error for each unreadable file and each job that has two answers.

    Raises UMTError if there is no such folder.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such result store; `umt run` makes one below its --out folder, as OUT/results")
    problems: list[UMTError] = []
    return list(_without_copies(_readable(ResultStore(folder).paths(), problems), problems)), problems


def read_measurements(folder: Path) -> list[Measurement]:
    """Read the results of a store; name each unreadable file on stderr. UMTError if no result is left."""
    measurements, problems = read_store(folder)
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    return _require_any(measurements, folder)


def load_results(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a result store, OUT or OUT/results, into one tidy table: a row for each metric of each result.

    A file that cannot be read is left out with a warning, and so are files with different values for one job; copies
    count once. UMTError if there is no such folder, or nothing in it can be read.
    """
    from benchmarks.frame import results_frame  # imports pandas, which a report does without

    store = _store_below(Path(folder))
    measurements, problems = read_store(store)
    for problem in problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    return results_frame((measurement.path, measurement.result) for measurement in _require_any(measurements, store))


def _require_any(measurements: list[Measurement], folder: Path) -> list[Measurement]:
    if not measurements:
        raise ResultError(f"{folder}: holds no readable result; run `umt run` again, which repeats what has no result")
    return measurements


def _store_below(folder: Path) -> Path:
    """Return OUT/results for OUT; a backbone that is called "results" has a folder of result files."""
    store = folder / "results"
    return store if store.is_dir() and not any(store.glob("*.json")) else folder


def _readable(paths: Iterable[Path], problems: list[UMTError]) -> Iterator[Measurement]:
    for path in paths:
        try:
            yield measured(path, read_result(path))
        except UMTError as error:
            problems.append(error)


def _without_copies(measurements: Iterable[Measurement], problems: list[UMTError]) -> Iterator[Measurement]:
    """Keep one measurement of each job: a copied file counts once, and files that contradict each other not at all."""
    jobs: dict[Key, dict[Values, Measurement]] = defaultdict(dict)
    for measurement in measurements:
        jobs[measurement.key].setdefault(tuple(sorted(measurement.result.metrics.items())), measurement)
    for key, answers in jobs.items():
        if len(answers) == 1:
            yield from answers.values()
        else:
            problems.append(_contradiction(key, answers))


def _contradiction(key: Key, answers: Mapping[Values, Measurement]) -> UMTError:
    (values, first), (other_values, second), *more = answers.items()
    further = f" and {len(more)} more" if more else ""
    return ResultError(
        f"{first.path} and {second.path}{further}: different values ({brief(dict(values))}, "
        f"{brief(dict(other_values))}) for the same job ({', '.join(map(str, astuple(key)))}); delete the wrong one"
    )
