"""A job from request to stored result, in its own process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import Timeout

from benchmarks.results import Measured, ResultStore
from umt.errors import UMTError, WriteError
from umt.files import below, open_plain
from umt.locks import lock

if TYPE_CHECKING:
    from umt.backbones import Backbone
from benchmarks.suite.request import JobReport, JobRequest


def open_log(path: Path) -> IO[Any]:
    """Open a log and append to it; UMTError if it is no plain file, or cannot be opened."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_plain(path, "ab")
    except OSError as error:
        raise WriteError(
            f"{path}: no log can be written there ({error.strerror}); remove it, or choose another --out"
        ) from error


def run_job(
    request: JobRequest,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
    model: Backbone | None = None,
    *,
    logged: bool = True,
) -> JobReport:
    """Run the job and store its result; errors become a report. The log takes them in full.

    model: what to measure, where it is at hand and has no name to build it by. logged: whether the log of the request
    takes what is printed.
    """
    store = ResultStore(request.out / "results")
    started = time.perf_counter()
    try:
        below(request.out / "work", request.key.stem).mkdir(parents=True, exist_ok=True)
        with lock(request.work_dir / "lock", timeout=0):
            if model is not None or not store.has(request.key):  # another suite may have run it since the plan was made
                store.write(*_measure(request, progress, model))
    except Timeout:
        return JobReport("elsewhere", "another process is running this job")
    except Exception as error:
        return JobReport("failed", _explain(error, request, logged), time.perf_counter() - started)
    _remove_checkpoints(request.work_dir)
    return JobReport("done", "", time.perf_counter() - started)


def _measure(request: JobRequest, progress: Callable[[int, int, str], None], model: Backbone | None) -> Measured:
    from benchmarks.jobs.measure import measure  # imports torch, which a process that only sends requests does not need

    if request.processes > 1:
        from benchmarks.jobs.multiprocess import measure_together

        return measure_together(request, progress)
    return measure(request, progress, model)


def _explain(error: Exception, request: JobRequest, logged: bool) -> str:
    if logged or not isinstance(error, UMTError):  # else the line says it all
        with suppress(OSError):  # if the disk is full, the log cannot be written either
            traceback.print_exc()
    if isinstance(error, UMTError):
        return error.coded
    trace = f"full trace in {request.log}" if logged else "full trace above"
    return f"{type(error).__name__}: {str(error).strip()[:300]} ({trace})"


def _remove_checkpoints(work_dir: Path) -> None:
    """Remove the checkpoints: they serve to resume the job, and its result is stored now."""
    for path in work_dir.rglob("*.pth"):
        path.unlink(missing_ok=True)
