"""The share of time that a loop spends in one part, measured without making a GPU wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Share of the time since the first `part()` that was spent in such parts."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.seconds = 0.0
        self.pending: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def part(self, device: torch.device) -> Iterator[None]:
        """Count the time of this block on `device`."""
        now = time.perf_counter()
        self.started = self.started or now
        if device.type != "cuda":
            yield
            self.seconds += time.perf_counter() - now
            return
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        yield
        end.record()
        self.pending.append((start, end))

    def share(self) -> float:
        """Return the share, between 0 and 1; parts that a GPU has not finished are counted later."""
        while self.pending and self.pending[0][1].query():
            start, end = self.pending.pop(0)
            self.seconds += start.elapsed_time(end) / 1000
        return self.seconds / (time.perf_counter() - self.started) if self.started else 0.0
