"""Limits of time and memory for a job, and its end if it exceeds them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from umt.errors import ProcessError


@dataclass(frozen=True)
class JobLimits:
    """Limits of a job with all processes that it starts; None for no limit."""

    seconds: float | None = None  # wall-clock
    bytes: float | None = None  # memory that belongs to no file: a memory-mapped cache is not counted

    def __bool__(self) -> bool:
        return self.seconds is not None or self.bytes is not None

    def broken(self, pid: int, seconds: float) -> str | None:
        """Return the limit that a job of this age has exceeded, and the remedy; None if it is within its limits."""
        if self.seconds is not None and seconds > self.seconds:
            return f"stopped after {seconds:.0f} s; {self.remedy}"
        if self.bytes is not None and (used_bytes := own_memory(pid)) > self.bytes:
            return f"stopped at {used_bytes / 1e9:.2f} GB of memory; {self.remedy}"
        return None

    @property
    def remedy(self) -> str:
        """Advice for a job that has met its limits."""
        time = f"--time-limit {self.seconds / 60:g}" if self.seconds is not None else ""
        memory = f"--memory-limit {self.bytes / 1e9:g}" if self.bytes is not None else ""
        options = " ".join(filter(None, (time, memory)))
        return f"if the job is sound, type the same command again with more than {options}"


def own_memory(pid: int) -> int:
    """Return the bytes of memory of a process and its descendants, without memory shared with files or each other."""
    total = 0
    for process in _family(pid):
        with suppress(psutil.Error):  # it has ended meanwhile
            memory = process.memory_info()
            total += memory.rss - getattr(memory, "shared", 0)
    return total


def kill_family(pid: int) -> None:
    """Kill a process and its descendants at once: a surviving data loader would hold the job's lock."""
    family = _family(pid)
    for process in family:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, timeout=10)


@contextmanager
def deadline(seconds: float | None, subject: str) -> Iterator[None]:
    """Raise UMTError inside the block if it takes longer; for the main thread, between two steps of Python."""

    def expired(*_: object) -> None:
        assert seconds is not None
        raise ProcessError(f"{subject} takes longer than --time-limit {seconds / 60:g}; raise the limit")

    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _family(pid: int) -> list[psutil.Process]:
    """Return the process and its descendants, if they still exist."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
