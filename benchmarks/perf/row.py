"""The output of a benchmark, and its timing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class PerfRow:
    """A comparison; `ratio` is peer over ours, so that larger is better."""

    job: str
    peer: str  # the code that a user would run without us
    theirs: float
    ours: float
    limit: float  # the required ratio
    note: str = "-"  # distance between the answers, if there are answers
    unit: str = "s"
    peak_share: float | None = None  # of the device's measured peak, that ours reaches (`machine.peak_share`)
    loader_share: float | None = None  # of ours' time, that waits for data

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


class TimedBatches(Iterator[Batch]):
    """Count the seconds that are spent waiting for batches."""

    def __init__(self, batches: Iterator[Batch], clock: Callable[[], float]) -> None:
        self.batches, self.clock, self.seconds = batches, clock, 0.0

    def __next__(self) -> Batch:
        started = self.clock()
        batch = next(self.batches)
        self.seconds += self.clock() - started
        return batch


def interleaved(
    *functions: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the least seconds of each function, run in turns so that a busy machine slows all."""
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for index, function in enumerate(functions):
            started = clock()
            function()
            best[index] = min(best[index], clock() - started)
    return best
