"""A process for each job, forked from a server that has already imported torch: isolation without the start-up cost."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks.jobs.forkserver import die_with_parent, ending, start_process, threads_of
from benchmarks.jobs.limits import JobLimits, kill_family
from benchmarks.jobs.worker import open_log, run_job
from benchmarks.suite.request import JobReport, JobRequest
from umt.errors import UMTError
from umt.files import below

OnStart = Callable[[JobRequest], None]
OnProgress = Callable[[JobRequest, int, int, str], None]
OnEnd = Callable[[JobRequest, JobReport], None]
NO_LIMITS = JobLimits()
WATCH_SECONDS = 0.25  # between two checks of the jobs' time and memory


class Executor(Protocol):
    """Runs jobs somewhere and reports their events."""

    def run(self, requests: list[JobRequest], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None: ...


@dataclass(frozen=True)
class RunningJob:
    """A running job."""

    request: JobRequest
    process: BaseProcess
    started: float  # on the monotonic clock

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class LocalExecutor:
    """Runs jobs on this machine, `workers` at a time, each within the limits and with its share of the cores.

    A request that names its threads gets that many.
    """

    def __init__(self, context: Any, workers: int, limits: JobLimits = NO_LIMITS) -> None:
        self.context = context
        self.workers = workers
        self.limits = limits
        self.threads = threads_of(workers)

    def run(self, requests: list[JobRequest], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Run all jobs; an interruption ends the running jobs."""
        waiting, running = list(requests), dict[Connection, RunningJob]()
        next_check = time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    request = waiting.pop(0)
                    on_start(request)
                    connection, process = self._start(request)
                    running[connection] = RunningJob(request, process, time.monotonic())
                readable = cast(list[Connection], wait(list(running), WATCH_SECONDS if self.limits else None))
                ended = {connection: _listen(connection, running[connection], on_progress) for connection in readable}
                if self.limits and time.monotonic() >= next_check:
                    next_check = time.monotonic() + WATCH_SECONDS
                    ended |= {
                        connection: self._stop(job) for connection, job in running.items() if not ended.get(connection)
                    }
                for connection, report in ended.items():
                    if report:
                        on_end(running.pop(connection).request, report)
        finally:
            for job in running.values():
                job.process.terminate()

    def _stop(self, job: RunningJob) -> JobReport | None:
        """End a job that has exceeded its limits; return its report, and write it to the end of its log."""
        problem = self.limits.broken(cast(int, job.process.pid), job.seconds)
        if problem is None:
            return None
        kill_family(cast(int, job.process.pid))
        job.process.join()
        with suppress(OSError, UMTError), open_log(job.request.log) as log:
            log.write(f"{problem}\n".encode())
        return JobReport("failed", f"{problem} (log: {job.request.log})", job.seconds)

    def _start(self, request: JobRequest) -> tuple[Connection, BaseProcess]:
        ours, theirs = self.context.Pipe()
        request = replace(request, threads=request.threads or self.threads)
        process = self.context.Process(target=_work, args=(theirs, request))
        start_process(process)
        theirs.close()
        return ours, process


def _listen(connection: Connection, job: RunningJob, on_progress: OnProgress) -> JobReport | None:
    """Receive one message from a job; return its report if it has ended, even if it sent none."""
    try:
        message = connection.recv()
    except (EOFError, ConnectionError):
        job.process.join()
        return JobReport("failed", f"{ending(job.process.exitcode or 0)} (log: {job.request.log})", job.seconds)
    if isinstance(message, JobReport):
        job.process.join()
        return message
    on_progress(job.request, *message)
    return None


def _work(connection: Connection, request: JobRequest) -> None:
    die_with_parent()
    try:
        with _output_to(below(request.out / "logs", f"{request.key.stem}.log")):
            report = run_job(request, lambda done, total, text: connection.send((done, total, text)))
    except UMTError as error:  # without a log there is no job
        report = JobReport("failed", error.coded)
    connection.send(report)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Redirect the output of the process and its libraries to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open_log(path) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    yield
    with suppress(OSError):  # on a full disk the log is lost, not the report
        sys.stdout.flush()
        sys.stderr.flush()
