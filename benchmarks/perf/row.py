"""What a benchmark prints, and how it takes time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison; `ratio` is peer over ours, so that larger is better."""

    job: str
    peer: str  # what a user would do without us
    theirs: float
    ours: float
    limit: float  # the ratio that is asked for
    note: str = "-"  # how far the answers are apart, where there are answers
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def interleaved(
    *functions: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Least seconds of each, taken in turns so that a busy machine slows all."""
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for index, function in enumerate(functions):
            started = clock()
            function()
            best[index] = min(best[index], clock() - started)
    return best
