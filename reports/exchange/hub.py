"""A hub of results in git: a folder of result files that others send, checked before it is merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.plausibility import faults, known_dataset, known_metric, known_task, value_fault
from benchmarks.results import CHECKSUM, MAX_BYTES, Result, ResultStore, read_result
from benchmarks.suite.suite import Suite, load_suite
from reports.results.measurement import Measurement, measured
from reports.results.quoted import QuotedTable, quoted_beside
from reports.tables import table6
from reports.tables.student_tables import STUDENT_TABLES
from umt.declarations import build, read_json, read_mapping
from umt.errors import DeclarationError, MissingFileError, ResultError, UMTError, unknown_name
from umt.files import component, open_plain
from umt.text import printable

HUB = "hub.yaml"
SUBMISSION = "submission.yaml"
RESULTS = "results"
MAX_BYTES_BY_SUFFIX = {".json": MAX_BYTES, ".npz": 64 << 20, ".png": 8 << 20, ".yaml": 1 << 16}  # bytes, by suffix
STUDENTS = (*(declaration.name for declaration in STUDENT_TABLES), table6.NAME)
NO_TASKS = ("distill", "cka", "mean")  # columns of these tables that no task measures: losses, similarities, a mean


@dataclass(frozen=True)
class Hub:
    """The declaration of a hub, in its hub.yaml."""

    title: str
    suite: str  # a suite that ships, whose tables the page has
    licences: tuple[str, ...]  # SPDX identifiers under which results may be sent
    about: str = ""


@dataclass(frozen=True)
class Submission:
    """The origin of the results in a folder, in its submission.yaml."""

    by: str
    licence: str  # of the result files, one of the hub's
    weights: str  # the place where the weights can be had
    weights_licence: str


@dataclass(frozen=True)
class HubContent:
    """The content of a hub: its measurements and published tables that have no fault, and the faults of the others."""

    hub: Hub
    suite: Suite
    measurements: Sequence[Measurement]
    quoted: Sequence[QuotedTable]
    faults: Sequence[str]


def read_hub(folder: Path) -> HubContent:
    """Read and check a hub. Raises UMTError if its hub.yaml cannot be read."""
    if not (folder / RESULTS).is_dir():
        raise MissingFileError(f"{folder / RESULTS}: no such folder; a hub has its results there")
    hub = build(Hub, read_mapping(folder / HUB), folder / HUB)
    suite = _shipped_suite(hub, folder / HUB)
    problems: list[str] = []
    measurements = [
        measurement
        for entry in sorted((folder / RESULTS).iterdir())
        for measurement in _backbone_results(folder, entry, hub, problems)
    ]
    quoted, unreadable = quoted_beside(folder / RESULTS)
    problems += map(str, unreadable)
    sound = [table for table in quoted if not _add(problems, quoted_faults(table))]
    return HubContent(hub, suite, measurements, sound, [printable(problem) for problem in problems])


def quoted_faults(table: QuotedTable) -> list[str]:
    """Return a line for each column of a published table that nothing here measures, and each value out of range."""
    lines = [_place_fault(table)] if table.stands_in not in ("", *STUDENTS) else []
    for name, column in table.columns.items():
        where = f"{table.source}, {table.table}, column '{name}'"
        if table.stands_in and column.task in NO_TASKS:
            continue
        try:
            task, info = known_task(column.task), known_dataset(column.dataset)
            metric = known_metric(task, column.metric)
        except UMTError as error:
            lines.append(f"{where}: {error}")
            continue
        values = [float(row.values[name]) for row in table.rows if name in row.values]
        lines += [f"{where}: {fault}" for value in values if (fault := value_fault(metric, value, info))]
    return lines


def _place_fault(table: QuotedTable) -> str:
    return f"{table.source}, {table.table}: {unknown_name('table of students', table.stands_in[:60], STUDENTS)}"


def _shipped_suite(hub: Hub, path: Path) -> Suite:
    if component(hub.suite) != hub.suite or hub.suite.endswith((".yaml", ".yml")):
        raise DeclarationError(f"{path}: field 'suite' is '{hub.suite[:60]}', expected one that ships, such as paper")
    return load_suite(hub.suite)


def _backbone_results(hub_folder: Path, folder: Path, hub: Hub, problems: list[str]) -> Iterator[Measurement]:
    """Yield the results of a backbone's folder that have no fault; add a line for each fault in it."""
    if folder.is_symlink() or not folder.is_dir():
        problems.append(f"{folder}: no folder of a backbone; take it away")
        return
    submission = _submission_fault(folder, hub)
    if submission:
        problems.append(submission)
    known_files = {SUBMISSION}
    for path in sorted(folder.glob("*.json")):
        known_files.add(path.name)
        try:
            result = _checked(hub_folder, path)
        except UMTError as error:
            problems.append(str(error))
            continue
        known_files |= {*result.pictures, *filter(None, [result.raw])}
        if not _add(problems, [f"{path}: {fault}" for fault in _result_faults(path, result)]) and not submission:
            yield measured(path, result)
    _add(problems, _stray_files(folder, known_files))


def _checked(hub: Path, path: Path) -> Result:
    """Read a result file. Raises UMTError if it is damaged, has no checksum, or is not in the place of its job."""
    result = read_result(path)
    measured(path, result)
    if CHECKSUM not in read_json(path, "a result file", "send it again", links=False, max_bytes=MAX_BYTES):
        raise ResultError(f"{path}: has no checksum; send the file as `umt run` has written it")
    expected = ResultStore(hub / RESULTS).path(result.key)
    if expected != path:
        raise ResultError(f"{path}: is the result of another place; move it to {expected}")
    return result


def _result_faults(path: Path, result: Result) -> Iterator[str]:
    yield from faults(result)
    for name in (*result.pictures, *filter(None, [result.raw])):
        if not name.startswith(path.stem) or component(name) != name or not (path.parent / name).is_file():
            yield f"names the file '{name[:200]}', which is not beside it"


def _submission_fault(folder: Path, hub: Hub) -> str | None:
    path = folder / SUBMISSION
    try:
        open_plain(path, max_bytes=MAX_BYTES_BY_SUFFIX[".yaml"]).close()
        submission = build(Submission, read_mapping(path), path)
        if submission.licence not in hub.licences:
            raise unknown_name(f"licence of this hub, in {path},", submission.licence[:60], hub.licences)
        empty = [name for name in ("by", "weights", "weights_licence") if not getattr(submission, name).strip()]
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); it names by, licence, weights and weights_licence"
    except UMTError as error:
        return str(error)
    return f"{path}: field '{empty[0]}' is empty; fill it in" if empty else None


def _stray_files(folder: Path, known_files: set[str]) -> Iterator[str]:
    """Yield a line for each file that no result names, and each that is a link, no plain file, or too large."""
    for path in sorted(folder.iterdir()):
        if path.name not in known_files:
            yield f"{path}: no result names this file; take it away"
            continue
        try:
            open_plain(path, max_bytes=MAX_BYTES_BY_SUFFIX.get(path.suffix, 0)).close()
        except OSError as error:
            yield f"{path}: {error.strerror}"


def _add(problems: list[str], lines: Iterator[str] | Sequence[str]) -> bool:
    """Add lines to problems; return True if there was one."""
    before = len(problems)
    problems += lines
    return len(problems) > before
