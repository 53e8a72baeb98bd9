"""The output of a benchmark, and its timing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


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

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


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
