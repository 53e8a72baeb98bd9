"""A folder on which workers take the jobs of a run and tell how they go; it may be on NFS."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from benchmarks.job import Report
from umt.files import atomic_file, open_plain, read_plain

PROGRESS_SECONDS = 1.0  # between two notes of how far a job is


@contextmanager
def new_board(parent: Path, jobs: int) -> Iterator[Board]:
    """A board of its own for one run; when the run ends, nothing can be taken from it any more."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="board-"))
    try:
        yield Board(folder, jobs)
    finally:
        over = folder.rename(folder.with_suffix(".over"))  # at once: while files go one by one, jobs would seem free
        shutil.rmtree(over, ignore_errors=True)


class Board:
    """The jobs of one run, by number: who has taken which, how far it is, and how it ended."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.folder = folder
        self.jobs = jobs
        self.noted: dict[int, float] = {}

    def take(self, worker: str) -> Iterator[int]:
        """Jobs that nobody had, each taken when it is asked for, until none is left or the run is over."""
        try:
            with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix="worker-", delete=False) as card:
                card.write(worker)
            yield from (index for index in range(self.jobs) if self._claim(index, Path(card.name)))
        except FileNotFoundError:  # the board is gone
            return

    def advance(self, index: int, done: int, total: int, text: str) -> None:
        """Note how far a job is, at most once a second; a note that cannot be written is left out."""
        now = time.monotonic()
        if now - self.noted.get(index, -PROGRESS_SECONDS) >= PROGRESS_SECONDS:
            self.noted[index] = now
            with suppress(OSError), open_plain(self._file(index, "progress"), "wb") as file:
                file.write(json.dumps([done, total, text]).encode())

    def end(self, index: int, report: Report) -> None:
        """Leave the report of a job; UMTError where it cannot be written."""
        with atomic_file(self._file(index, "report")) as file:
            file.write(json.dumps(asdict(report)).encode())

    def look(self) -> tuple[set[int], set[int]]:
        """Which jobs are taken, and which of them have a report."""
        os.utime(self.folder)  # an NFS client then lists what the server has, not what it remembers
        names = [path.name for path in self.folder.iterdir()]
        reported = _numbers(names, ".report")
        return _numbers(names, ".taken") | reported, reported

    def owner(self, index: int) -> str:
        """The worker that took a job."""
        return self._file(index, "taken").read_text()

    def progress(self, index: int) -> tuple[int, int, str] | None:
        """How far a job was when it last told; None where it has not, or is about to."""
        with suppress(OSError, ValueError):  # it is being written
            done, total, text = json.loads(read_plain(self._file(index, "progress")))
            return done, total, text
        return None

    def report(self, index: int) -> Report:
        """How a job ended."""
        return Report(**json.loads(self._file(index, "report").read_text()))

    def _claim(self, index: int, card: Path) -> bool:
        """Take a job by a link to the card, which is there whole or not at all; whether it is ours."""
        taken = self._file(index, "taken")
        with suppress(FileExistsError):
            os.link(card, taken)
        return taken.samefile(card)  # and not what link says: an NFS server that is asked twice finds its own answer

    def _file(self, index: int, kind: str) -> Path:
        return self.folder / f"{index}.{kind}"


def _numbers(names: list[str], suffix: str) -> set[int]:
    return {int(name.removesuffix(suffix)) for name in names if name.endswith(suffix)}
