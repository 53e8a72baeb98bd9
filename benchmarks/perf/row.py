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
    peer_seconds: float
    our_seconds: float
    limit: float  # the ratio that is asked for
    error: str = "-"  # how far the answers are apart, where there are answers

    @property
    def ratio(self) -> float:
        return self.peer_seconds / self.our_seconds


def interleaved(peer: Callable[[], object], ours: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Least wall seconds of each, taken in turns so that a busy machine slows both."""
    best = [float("inf")] * 2
    for _ in range(repeats):
        for index, function in enumerate((peer, ours)):
            started = time.perf_counter()
            function()
            best[index] = min(best[index], time.perf_counter() - started)
    return best[0], best[1]
