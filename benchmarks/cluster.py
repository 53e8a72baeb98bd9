"""Suite jobs on a cluster through submitit; its local executor runs the same path on one machine.

A submission is a worker: it imports once, then takes jobs from a board until none is left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import submitit

from benchmarks.board import Board, new_board
from benchmarks.job import Report, Request, open_log
from benchmarks.limits import Limits
from benchmarks.processes import NO_LIMITS, LocalExecutor, OnEnd, OnProgress, OnStart, fork_server, threads_of
from umt.errors import ProcessError
from umt.safe_path import safe_path

POLL_SECONDS = {"slurm": 2.0, "local": 0.25, "debug": 0.0}  # between two looks at the board
NO_TIMEOUT = {"local": {"timeout_min": 365 * 24 * 60}}  # by itself submitit ends what runs here after two minutes

Crew = dict[str, submitit.Job[None]]  # workers that have not ended, by name


class ClusterExecutor:
    """Submits workers and waits; `kind` is 'slurm' or 'local', `parameters` are submitit's (timeout_min, ...).

    At most `at_once` workers at a time. None for one a job, where the cluster has a queue of its own: each does that
    job only, so that submitit's timeout is that of a job.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        parameters: dict[str, Any],
        at_once: int | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.executor = submitit.AutoExecutor(folder=folder, cluster=kind)
        self.executor.update_parameters(name="umt-bench", **NO_TIMEOUT.get(kind, {}) | parameters)
        self.at_once = at_once
        self.limits = limits
        self.threads = threads_of(at_once) if at_once and kind == "local" else 0  # a cluster's job has its own cores
        self.poll_seconds = POLL_SECONDS[kind]

    def run(self, requests: list[Request], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Submit workers until every job has ended; an interruption or error ends the workers."""
        crew: Crew = {}
        shared = [replace(request, threads=self.threads) for request in requests]
        with new_board(self.folder, len(requests)) as board:
            worker = partial(work, board=board, requests=shared, limits=self.limits, most=None if self.at_once else 1)
            watch = Watch(board, requests, on_start, on_progress, on_end)
            try:
                while watch.waits:
                    self._submit(crew, watch, worker)
                    time.sleep(self.poll_seconds)
                    ended = [name for name, job in crew.items() if job.done()]
                    watch.look()  # after that, so that what they have done is on the board
                    for name in ended:
                        watch.lose(name, _last_words(crew.pop(name)))
            finally:
                needless = crew if watch.waits else crew.keys() - watch.busy  # the others are about to end
                for name in needless:
                    crew[name].cancel(check=False)

    def _submit(self, crew: Crew, watch: Watch, worker: Callable[[str], None]) -> None:
        """Submit as many workers as there is work and room for."""
        most = self.at_once or len(watch.requests)
        wanted = min(most, len(crew.keys() & watch.busy) + watch.untaken)
        for _ in range(wanted - len(crew)):
            name = uuid4().hex
            with _errors_to(self.folder / "submitit.log"), safe_path():
                crew[name] = self.executor.submit(worker, name)


class Watch:
    """The board as the process sees it that waits for the jobs: who took which, and which have ended."""

    def __init__(
        self, board: Board, requests: list[Request], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd
    ) -> None:
        self.board = board
        self.requests = requests
        self.on_start, self.on_progress, self.on_end = on_start, on_progress, on_end
        self.owners: dict[int, str] = {}  # of jobs that are taken
        self.ended: set[int] = set()
        self.told: dict[int, tuple[int, int, str]] = {}

    @property
    def waits(self) -> bool:
        return len(self.ended) < len(self.requests)

    @property
    def untaken(self) -> int:
        return len(self.requests) - len(self.owners)

    @property
    def busy(self) -> set[str]:
        """Workers that have taken a job; such a one ends when there is none left."""
        return set(self.owners.values())

    def look(self) -> None:
        """Tell what is new."""
        taken, reported = self.board.look()
        for index in sorted(reported - self.ended):
            self._start(index)
            self._end(index, self.board.report(index))
        for index in sorted(taken - self.ended):
            self._start(index)
            self._advance(index)

    def lose(self, worker: str, cause: str) -> None:
        """A worker has ended: what it took and did not report has failed.

        One that took nothing fails a job in its place, so that workers that cannot start end the run.
        """
        if worker not in self.busy:
            for index in islice(self.board.take(worker), 1):
                self._start(index)
        for index in [index for index, owner in self.owners.items() if owner == worker and index not in self.ended]:
            self._end(index, Report("failed", cause))

    def _start(self, index: int) -> None:
        if index not in self.owners:
            self.owners[index] = self.board.owner(index)
            self.on_start(self.requests[index])

    def _advance(self, index: int) -> None:
        progress = self.board.progress(index)
        if progress and progress != self.told.get(index):
            self.told[index] = progress
            self.on_progress(self.requests[index], *progress)

    def _end(self, index: int, report: Report) -> None:
        self.ended.add(index)
        self.on_end(self.requests[index], report)


def work(name: str, board: Board, requests: list[Request], limits: Limits, most: int | None) -> None:
    """A worker: take jobs, at most so many, and do each in a process forked from this one's server."""
    executor = LocalExecutor(fork_server(), 1, limits)
    for index in islice(board.take(name), most):
        _do(index, requests[index], executor, board)


def _do(index: int, request: Request, executor: LocalExecutor, board: Board) -> None:
    executor.run(
        [request],
        lambda _: None,
        lambda _, done, total, text: board.advance(index, done, total, text),
        lambda _, report: board.end(index, report),
    )


@contextmanager
def _errors_to(path: Path) -> Iterator[None]:
    """What processes that start here print as errors, for good: the traceback of one that Ctrl-C ends is nobody's."""
    kept = os.dup(2)
    try:
        with open_log(path) as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _last_words(job: submitit.Job[None]) -> str:
    """Why a worker may have ended: the state that submitit knows, and the end of its log."""
    lines: list[str] = []
    with suppress(OSError):
        lines = job.paths.stderr.read_text(errors="replace").split("\n")
    last = next((f", which ends: {line.strip()}" for line in reversed(lines) if line.strip()), "")
    known = f"submitit's state: {job.state}, log: {job.paths.stderr}{last}"
    return ProcessError(f"its worker ended without a report ({known}); the same command goes on").coded
