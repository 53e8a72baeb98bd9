"""Read a whole result store: its readable results, its unreadable files and its contradictions."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Result, ResultStore, read_result
from reports.results.measurement import Measurement, Shared, grouped, measured
from umt.errors import ResultError, UMTError
from umt.text import brief

if TYPE_CHECKING:
    import pandas as pd

ANALYSIS = "analysis"  # the suite of results that `umt analyze` makes: they are in tables of any suite
RESULTS_HELP = "The result store: OUT/results of a run. Default: the newest below runs/."

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
    shared, problems = Shared(), list[UMTError]()
    paths = groupby(ResultStore(folder).paths(), key=os.path.dirname)
    found = [one for _, part in paths for one in grouped(_readable(part, problems), shared)]
    return list(_without_copies(found, problems)), problems


def _readable(paths: Iterable[Path], problems: list[UMTError]) -> Iterator[Measurement]:
    for path in paths:
        try:
            yield measured(path, read_result(path))
        except UMTError as error:
            problems.append(error)


def _without_copies(measurements: Sequence[Measurement], problems: list[UMTError]) -> Iterator[Measurement]:
    """Keep one run for each job: a copied file counts once, and files that contradict each other do not count."""
    jobs: dict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for one in measurements:
        jobs[one.model.key + one.setup.job].append(one)
    for same in jobs.values():
        yield from _distinct(same, problems) if _repeats(same) else same


def _repeats(same: Sequence[Measurement]) -> bool:
    """Return True if a seed stands in more than one run."""
    seeds = same[0].seeds if len(same) == 1 else [seed for one in same for seed in one.seeds]
    return len(set(seeds)) < len(seeds)


def _distinct(same: Sequence[Measurement], problems: list[UMTError]) -> Iterator[Measurement]:
    """Split measurements of one job, which differ in seeds, so that each keeps only seeds that are in none before."""
    answers: dict[int, dict[Values, Path]] = defaultdict(dict)  # by seed, each with the first file that gives it
    for one in same:
        for place, run in enumerate(one.runs):
            values = ((name, row[place]) for name, row in zip(one.setup.metrics, one.table, strict=True))
            answers[run.seed].setdefault(tuple(sorted(values)), run.path)
    job = (*same[0].model.key, *same[0].setup.job)
    problems += [_contradiction(files, (*job, seed)) for seed, files in answers.items() if len(files) > 1]
    waiting = {seed for seed, files in answers.items() if len(files) == 1}
    for one in same:
        new = []
        for place, seed in enumerate(one.seeds):
            if seed in waiting:
                waiting.remove(seed)
                new.append(place)
        if new:
            yield one.only(new)


def _contradiction(files: dict[Values, Path], job: Sequence[object]) -> UMTError:
    (values, path), (other_values, other), *more = files.items()
    others = f" and {len(more)} more" if more else ""
    return ResultError(
        f"{path} and {other}{others}: different values ({brief(dict(values))}, {brief(dict(other_values))}) for the "
        f"same job ({', '.join(map(str, job))}); delete the wrong one"
    )


def load_results(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a result store, OUT or OUT/results, into one tidy table: a row for each metric of each result.

    A file that cannot be read is left out with a warning, and so are files with different values for one job; copies
    count once. UMTError if there is no such folder, or nothing in it can be read.
    """
    from benchmarks.frame import results_frame  # imports pandas, which a report does without

    store, problems = _store_below(Path(folder)), list[UMTError]()
    if not store.is_dir():
        raise ResultError(f"{store}: no such result store; `umt run` makes one below its --out folder, as OUT/results")
    frame = _one_answer_a_job(results_frame(_results(store, problems)), problems)
    for problem in problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    if frame.empty:
        raise ResultError(f"{store}: holds no readable result; run `umt run` again, which repeats what has no result")
    return frame


def _store_below(folder: Path) -> Path:
    """Return OUT/results for OUT; a backbone that is called "results" has a folder of result files."""
    store = folder / "results"
    return store if store.is_dir() and not any(store.glob("*.json")) else folder


def _results(store: Path, problems: list[UMTError]) -> Iterator[tuple[Path, Result]]:
    for path in ResultStore(store).paths():
        try:
            result = read_result(path)
            measured(path, result)  # refuses values that cannot be averaged
        except UMTError as error:
            problems.append(error)
        else:
            yield path, result


def _one_answer_a_job(frame: pd.DataFrame, problems: list[UMTError]) -> pd.DataFrame:
    """Drop the copies of results, and results that contradict each other."""
    from benchmarks.frame import JOB

    frame = frame.drop_duplicates([*JOB, "value"])
    clashing = frame[frame.duplicated(list(JOB), keep=False)]
    for job, rows in clashing.groupby(list(JOB)):
        if rows["path"].isin(frame["path"]).any():  # else another metric has told
            *key, metric = job
            pairs = zip(rows["value"], rows["path"], strict=True)
            problems.append(_contradiction({((str(metric), value),): Path(path) for value, path in pairs}, key))
            frame = frame[~frame["path"].isin(rows["path"])]
    return frame.reset_index(drop=True)
