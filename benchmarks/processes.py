"""A process for each job, forked from a server that has already imported torch: isolation without the start-up cost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from benchmarks.job import Report, Request, open_log, run_job
from benchmarks.limits import Limits, kill_family
from umt.errors import ProcessError, UMTError
from umt.files import below
from umt.safe_path import safe_path

OnStart = Callable[[Request], None]
OnProgress = Callable[[Request, int, int, str], None]
OnEnd = Callable[[Request, Report], None]
NO_LIMITS = Limits()
WATCH_SECONDS = 0.25  # between two checks of the jobs' time and memory
STARTING = threading.Lock()  # held while a process starts


class Executor(Protocol):
    """Runs jobs somewhere and reports their events."""

    def run(self, requests: list[Request], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None: ...


def fork_server() -> Any:
    """Return a multiprocessing context whose children start with everything that a job needs already imported.

    The server starts importing at once, while the caller goes on.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.preload"])
    with safe_path():
        forkserver.ensure_running()
    return context


def call(context: Any, function: str, *arguments: Any) -> Any:
    """Run `module:function` in a child process and return its answer; its UMTError is raised here.

    The function is named, not passed, so that this process need not import the function's modules.
    """
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, function, arguments), daemon=True)
    _start_process(process)
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        raise ProcessError(f"the pre-flight process ended with status {process.exitcode}") from None
    process.join()
    if isinstance(answer, UMTError):
        raise answer
    return answer


def _start_process(process: BaseProcess) -> None:
    """Start a process that does not import the caller's script: without a guard, that would start the work again."""
    with STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main


def default_workers(device: str) -> int:
    """Return the jobs at a time: 1 on a GPU; on the CPU several with few threads each, so that they waste less."""
    return min(4, _cores()) if device == "cpu" else 1


def threads_of(workers: int) -> int:
    """Return the threads of each of so many jobs at a time."""
    return max(1, _cores() // workers)


def _cores() -> int:
    """Count the cores that this process may use: a cluster gives it some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Running:
    """A running job."""

    request: Request
    process: BaseProcess
    started: float  # on the monotonic clock

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class LocalExecutor:
    """Runs jobs on this machine, `workers` at a time, each within the limits and with its share of the cores.

    A request that names its threads gets that many.
    """

    def __init__(self, context: Any, workers: int, limits: Limits = NO_LIMITS) -> None:
        self.context = context
        self.workers = workers
        self.limits = limits
        self.threads = threads_of(workers)

    def run(self, requests: list[Request], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Run all jobs; an interruption ends the running jobs."""
        waiting, running = list(requests), dict[Connection, Running]()
        look = time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    request = waiting.pop(0)
                    on_start(request)
                    connection, process = self._start(request)
                    running[connection] = Running(request, process, time.monotonic())
                ready = cast(list[Connection], wait(list(running), WATCH_SECONDS if self.limits else None))
                ended = {connection: _listen(connection, running[connection], on_progress) for connection in ready}
                if self.limits and time.monotonic() >= look:
                    look = time.monotonic() + WATCH_SECONDS
                    ended |= {one: self._stop(job) for one, job in running.items() if not ended.get(one)}
                for connection, report in ended.items():
                    if report:
                        on_end(running.pop(connection).request, report)
        finally:
            for job in running.values():
                job.process.terminate()

    def _stop(self, job: Running) -> Report | None:
        """End a job that has exceeded its limits; return its report, and write it to the end of its log."""
        problem = self.limits.broken(cast(int, job.process.pid), job.seconds)
        if problem is None:
            return None
        kill_family(cast(int, job.process.pid))
        job.process.join()
        with suppress(OSError, UMTError), open_log(job.request.log) as log:
            log.write(f"{problem}\n".encode())
        return Report("failed", f"{problem} (log: {job.request.log})", job.seconds)

    def _start(self, request: Request) -> tuple[Connection, BaseProcess]:
        ours, theirs = self.context.Pipe()
        request = replace(request, threads=request.threads or self.threads)
        process = self.context.Process(target=_work, args=(theirs, request))
        _start_process(process)
        theirs.close()
        return ours, process


def _listen(connection: Connection, job: Running, on_progress: OnProgress) -> Report | None:
    """Receive one message from a job; return its report if it has ended, even if it sent none."""
    try:
        message = connection.recv()
    except (EOFError, ConnectionError):
        job.process.join()
        return Report("failed", f"{ending(job.process.exitcode or 0)} (log: {job.request.log})", job.seconds)
    if isinstance(message, Report):
        job.process.join()
        return message
    on_progress(job.request, *message)
    return None


def ending(status: int) -> str:
    """Say how a process ended that left no report."""
    if status >= 0:
        return f"the process ended with status {status}"
    cause = " (the system does that when memory runs out)" if -status == signal.SIGKILL else ""
    return f"the process was ended by {signal.Signals(-status).name}{cause}; the same command goes on"


def die_with_parent() -> None:
    """End this process when its parent is gone, even by kill -9; the fork server would let it live."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(connection: Connection, request: Request) -> None:
    die_with_parent()
    try:
        with _output_to(below(request.out / "logs", f"{request.key.stem}.log")):
            report = run_job(request, lambda done, total, text: connection.send((done, total, text)))
    except UMTError as error:  # without a log there is no job
        report = Report("failed", error.coded)
    connection.send(report)


def _answer(connection: Connection, function: str, arguments: tuple[Any, ...]) -> None:
    die_with_parent()
    module, _, name = function.partition(":")
    try:
        connection.send(getattr(import_module(module), name)(*arguments))
    except UMTError as error:
        connection.send(error)


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
