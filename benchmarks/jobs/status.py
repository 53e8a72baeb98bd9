"""The state of a run in its folder, so that `umt status` can tell it from any machine that sees the folder."""

from __future__ import annotations

import json
import os
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from benchmarks.suite.plan import RunPlan
from benchmarks.suite.request import JobReport, JobRequest
from umt.declarations import build, read_json
from umt.errors import MissingFileError, UMTError
from umt.files import atomic_file, below, component, visible_entries

FOLDER = "status"  # below --out, a file for each command that runs there
WRITE_SECONDS = 5.0  # between two writes for progress alone
WAITING, RUNNING = "waiting", "running"


@dataclass(frozen=True)
class JobState:
    """A job as it is now."""

    title: str
    task: str
    state: str  # waiting, running, done, failed, elsewhere or blocked
    done: int = 0  # of the phase that it is in: iterations, images
    total: int = 0
    text: str = ""  # its last line of progress, or the error
    began: float = 0.0  # seconds since 1970, 0 for a job that has not begun
    seconds: float = 0.0  # that it took; 0 if it has not ended, or was there before


@dataclass(frozen=True)
class RunState:
    """A command that runs jobs, and its jobs."""

    suite: str
    host: str
    process: int
    began: float  # seconds since 1970
    changed: float  # seconds since 1970, when a job gave the last sign
    ended: bool
    jobs: tuple[JobState, ...]

    def seconds_left(self, now: float) -> float | None:
        """Estimate the time to the end from jobs of the same task that are done; None if a task has none yet."""
        times: dict[str, list[float]] = defaultdict(list)
        for job in self.jobs:
            if job.state == "done" and job.seconds:
                times[job.task].append(job.seconds)
        open_jobs = [job for job in self.jobs if job.state in (WAITING, RUNNING)]
        if any(job.task not in times for job in open_jobs):
            return None
        lefts = [max(fmean(times[job.task]) - (now - job.began if job.began else 0), 0) for job in open_jobs]
        return sum(lefts) / max(1, sum(job.state == RUNNING for job in open_jobs))


class StatusFile:
    """The file in which a run notes its state; a disk that cannot be written costs the notes, and no job."""

    def __init__(self, out: Path, suite: str, plan: RunPlan) -> None:
        host, now = platform.node(), time.time()
        self.path = below(out, FOLDER, f"{component(f'{host}-{os.getpid()}')}.json")
        states = {"to run": WAITING}
        self.jobs = {
            job.title: JobState(job.title, _task(job.request), states.get(job.state, job.state), text=job.problem or "")
            for job in plan.jobs
        }
        self.run = RunState(suite, host, os.getpid(), now, now, ended=False, jobs=())
        self.written = 0.0

    def __enter__(self) -> StatusFile:
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        self.run = replace(self.run, ended=True)
        self._write()

    def start(self, request: JobRequest) -> None:
        self._note(request, state=RUNNING, began=time.time())
        self._write()

    def advance(self, request: JobRequest, done: int, total: int, text: str) -> None:
        self._note(request, done=done, total=total, text=text)
        if time.time() - self.written >= WRITE_SECONDS:
            self._write()

    def end(self, request: JobRequest, report: JobReport) -> None:
        self._note(request, state=report.status, text=report.message, seconds=report.seconds)
        self._write()

    def _note(self, request: JobRequest, **changes: object) -> None:
        self.jobs[request.title] = replace(self.jobs[request.title], **changes)  # type: ignore[arg-type]
        self.run = replace(self.run, changed=time.time())

    def _write(self) -> None:
        self.written = time.time()
        record = asdict(replace(self.run, jobs=tuple(self.jobs.values())))
        with suppress(OSError, UMTError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.path) as handle:
                handle.write(json.dumps(record, indent=1).encode())


def read_runs(out: Path) -> list[RunState]:
    """Read the runs of a folder, the one with the last sign first; UMTError if there are none, or one is damaged."""
    try:
        paths = [Path(entry) for entry in visible_entries(out / FOLDER) if entry.name.endswith(".json")]
    except OSError:
        paths = []
    if not paths:
        raise MissingFileError(f"{out}: no run has noted its state there; name the --out folder of `umt run`")
    return sorted(map(_read, paths), key=lambda run: run.changed, reverse=True)


def counts(jobs: Iterable[JobState]) -> Mapping[str, int]:
    """Return the number of jobs in each state that some job is in."""
    return Counter(job.state for job in jobs)


def _read(path: Path) -> RunState:
    return build(RunState, read_json(path, "the state of a run", "remove it", links=False), path)


def _task(request: JobRequest | None) -> str:
    return request.key.task if request else ""
