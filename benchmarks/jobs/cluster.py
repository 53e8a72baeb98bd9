"""Suite jobs on a cluster through submitit, one submission a job; its local executor runs the same path here."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import submitit
from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import DelayedSubmission, FailedSubmissionError, UncompletedJobError

from benchmarks.jobs.forkserver import fork_server, threads_of
from benchmarks.jobs.limits import JobLimits
from benchmarks.jobs.local import NO_LIMITS, LocalExecutor, OnEnd, OnProgress, OnStart
from benchmarks.jobs.worker import open_log
from benchmarks.suite.request import JobReport, JobRequest
from umt.errors import OptionError, ProcessError
from umt.files import open_plain, read_plain
from umt.surroundings import safe_path

POLL_SECONDS = {"slurm": 2.0, "local": 0.25}  # between two looks at the jobs
RESULT_SECONDS = {"slurm": 15.0, "local": 0.0}  # until a shared disk shows the result of a job that has ended
SIGNAL_SECONDS = 1.0  # until a signal to all processes of a job has come to each
REQUEUE_SIGNAL = JobEnvironment._usr_sig()  # SIGUSR2, unless SUBMITIT_PREEMPT_SIGNAL says otherwise
PROGRESS_SECONDS = 1.0  # between two notes of how far a job is
NO_TIMEOUT = {"local": {"timeout_min": 365 * 24 * 60}}  # by itself submitit ends what runs here after two minutes

Progress = tuple[int, int, str]


class ClusterExecutor:
    """Submits jobs and waits; `kind` is 'slurm' or 'local', `parameters` are submitit's (timeout_min, ...).

    At most `at_once` jobs run at a time: Slurm holds the others back in one job array, and on this machine a job is
    submitted when another has ended.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        parameters: dict[str, Any],
        at_once: int | None = None,
        limits: JobLimits = NO_LIMITS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "submitit.log"
        # A new folder: submitit unpickles results, which must be of these jobs and not of others with their numbers.
        self.folder = Path(tempfile.mkdtemp(dir=folder, prefix=time.strftime("%Y%m%d-%H%M%S-")))
        try:
            self.executor = submitit.AutoExecutor(folder=self.folder, cluster=kind)
        except RuntimeError as error:  # there is no srun
            raise OptionError(f"--cluster {kind}: {error} Type it where jobs are submitted, or leave it out") from error
        defaults = {"name": "umt-bench", "slurm_array_parallelism": at_once} | NO_TIMEOUT.get(kind, {})
        self.executor.update_parameters(**defaults | parameters)
        self.job = RequeueableJob() if kind == "slurm" else run_submitted
        self.room = at_once if kind == "local" else None
        self.threads = threads_of(at_once) if at_once and kind == "local" else 0  # a cluster's job has its own cores
        self.limits = limits
        self.poll_seconds = POLL_SECONDS[kind]
        self.result_seconds = RESULT_SECONDS[kind]

    def run(self, requests: list[JobRequest], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Run all jobs; an interruption or error cancels those that have not ended."""
        waiting, submitted = list(requests), list[SubmittedJob]()
        try:
            while waiting or submitted:
                free = len(waiting) if self.room is None else self.room - len(submitted)
                submitted += self._submit(waiting[:free])
                del waiting[:free]
                time.sleep(self.poll_seconds)
                for job in self._ended(submitted):
                    submitted.remove(job)
                    job.start(on_start)
                    on_end(job.request, job.report())
                for job in submitted:
                    job.poll(on_start, on_progress)
        finally:
            for job in submitted:
                job.handle.cancel(check=False)

    def _submit(self, requests: list[JobRequest]) -> list[SubmittedJob]:
        """Submit jobs, on Slurm as one array; ProcessError if the cluster refuses them."""
        if not requests:
            return []
        notes = [ProgressFile(self.folder, request) for request in requests]
        threaded_requests = [replace(request, threads=self.threads) for request in requests]
        try:
            with _errors_to(self.log), safe_path(), _cancellable():
                handles = self.executor.map_array(self.job, threaded_requests, notes, repeat(self.limits))
        except (UncompletedJobError, FailedSubmissionError) as error:
            raise ProcessError(f"the jobs cannot be submitted: {error}; correct --cluster-option") from error
        return [SubmittedJob(*job) for job in zip(requests, handles, notes, strict=True)]

    def _ended(self, submitted: list[SubmittedJob]) -> list[SubmittedJob]:
        """Return the jobs that have ended, once their results have had time to arrive."""
        ended = [job for job in submitted if job.handle.done()]
        if not all(job.has_result for job in ended):
            time.sleep(self.result_seconds)
        return ended


@contextmanager
def _cancellable() -> Iterator[None]:
    """Start processes that heed SIGINT, by which submitit cancels: those of a command in the background ignore it."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN and current_thread() is main_thread()
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass
class SubmittedJob:
    """A job that has been submitted, and how much has been told of it."""

    request: JobRequest
    handle: submitit.Job[JobReport]
    note: ProgressFile
    started: bool = False
    reported_progress: Progress | None = None

    @property
    def has_result(self) -> bool:
        return self.handle.paths.result_pickle.exists()

    def poll(self, on_start: OnStart, on_progress: OnProgress) -> None:
        """Tell whether the job has started, and how far it is."""
        if self.note.path.exists():
            self.start(on_start)
        progress = self.note.read()
        if progress and progress != self.reported_progress:
            self.reported_progress = progress
            on_progress(self.request, *progress)

    def start(self, on_start: OnStart) -> None:
        """Tell once that the job has started."""
        if not self.started:
            self.started = True
            on_start(self.request)

    def report(self) -> JobReport:
        """Return the report of a job that has ended, also if it left none."""
        if self.has_result:
            with suppress(Exception):  # it raised, as it does at the cluster's time limit, or its result is damaged
                return self.handle.result()
        return JobReport("failed", _last_words(self.handle))


class ProgressFile:
    """Tells how far a submitted job is; the file appears when the job starts."""

    def __init__(self, folder: Path, request: JobRequest) -> None:
        self.path = folder / f"{request.key.digest}.progress"
        self.written = -PROGRESS_SECONDS

    def start(self) -> None:
        """Make the empty file."""
        with suppress(OSError), open_plain(self.path, "wb"):
            pass

    def write(self, *progress: Any) -> None:
        """Note how far the job is, at most once a second; a note that cannot be written is left out."""
        now = time.monotonic()
        if now - self.written >= PROGRESS_SECONDS:
            self.written = now
            with suppress(OSError), open_plain(self.path, "wb") as file:
                file.write(json.dumps(progress).encode())

    def read(self) -> Progress | None:
        """Return how far the job was when it last told; None if it has not, or is about to."""
        with suppress(OSError, ValueError):  # it is being written
            done, total, text = json.loads(read_plain(self.path))
            return done, total, text
        return None


def run_submitted(request: JobRequest, note: ProgressFile, limits: JobLimits) -> JobReport:
    """Run a job on the machine that it was sent to, as on this one: in a process of its own, within its limits.

    It leaves no report if Slurm ended it by SIGTERM: Slurm says itself what becomes of it.
    """
    reports: list[JobReport] = []
    note.start()
    terminations = _noted(signal.SIGTERM)
    LocalExecutor(_requeueable_server(request.key.task), 1, limits).run(
        [request],
        lambda _: None,
        lambda _, *progress: note.write(*progress),
        lambda _, report: reports.append(report),
    )
    if reports[0].status == "failed":
        time.sleep(SIGNAL_SECONDS)
        if terminations:
            raise SystemExit(f"ended by SIGTERM: {reports[0].message}")
    return reports[0]


class RequeueableJob:
    """Runs a job of Slurm, and goes back into the queue at the end of its time, or when it loses its machine."""

    def __call__(self, request: JobRequest, note: ProgressFile, limits: JobLimits) -> JobReport:
        return run_submitted(request, note, limits)

    def checkpoint(self, *arguments: Any) -> DelayedSubmission:
        """Return the same job, by which submitit knows that it may run again: its saves are in its own folder."""
        return DelayedSubmission(self, *arguments)


def _noted(number: signal.Signals) -> list[int]:
    """Let a signal do nothing but to be noted in the list."""
    notes: list[int] = []
    if current_thread() is main_thread():
        signal.signal(number, lambda number, _: notes.append(number))
    return notes


def _requeueable_server(task: str) -> Any:
    """Return a fork server whose processes never get submitit's signal, which Slurm sends to all of a job."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {REQUEUE_SIGNAL})
    try:
        return fork_server((task,))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextmanager
def _errors_to(path: Path) -> Iterator[None]:
    """Send to a file the errors of processes that start here: the traceback of one that Ctrl-C ends is nobody's."""
    stderr_copy = os.dup(2)
    try:
        with open_log(path) as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)


def _last_words(job: submitit.Job[JobReport]) -> str:
    """Say why a job may have ended: the state that submitit knows, and the end of its log."""
    lines: list[str] = []
    with suppress(OSError):
        lines = job.paths.stderr.read_text(errors="replace").split("\n")
    last = next((f", which ends: {line.strip()}" for line in reversed(lines) if line.strip()), "")
    known = f"submitit's state: {job.state}, log: {job.paths.stderr}{last}"
    return ProcessError(f"the job ended without a report ({known}); the same command goes on").coded
