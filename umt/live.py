"""Progress of long work: lines at the end of a terminal that are drawn anew, and in a log a line every minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event, Thread

from rich.live import Live
from rich.text import Text

from umt.console import Console
from umt.durations import duration
from umt.text import printable

LOG_SECONDS = 60.0  # between two lines, if there is no terminal
MAX_WIDTH = 120  # of a line on a terminal
DOT = " · "


@dataclass(frozen=True)
class StepCounter:
    """The steps of a piece of work, and since when they are counted."""

    done: int = 0
    total: int = 0
    text: str = ""  # losses, images a second
    first: int = 0  # steps that were done when the counting began
    started: float = field(default_factory=lambda: time.monotonic())

    def advanced(self, done: int, total: int, text: str) -> StepCounter:
        """Return the counter after a report; another total is another piece of work, which is counted anew."""
        if total != self.total or done < self.done:
            return StepCounter(done, total, text, first=done)
        return replace(self, done=done, text=text)

    @property
    def fraction(self) -> float:
        """The part of the steps that is done."""
        return self.done / self.total if self.total else 0.0

    @property
    def rate(self) -> str:
        """The steps a second, "3 it/s"; empty as long as they are unknown."""
        seconds, steps = time.monotonic() - self.started, self.done - self.first
        if not steps or seconds <= 0:
            return ""
        speed = steps / seconds
        return f"{speed:.0f} it/s" if speed >= 10 else f"{speed:.2g} it/s"

    @property
    def remaining(self) -> str:
        """The time that is left at this rate, "ETA 2 h 5 min"."""
        steps = self.done - self.first
        spent = time.monotonic() - self.started
        return eta(spent / steps * (self.total - self.done) if steps else None)

    @property
    def count(self) -> str:
        """The step, "120/2000"; empty before the first report."""
        return f"{self.done}/{self.total}" if self.total else ""


def eta(seconds: float | None) -> str:
    """Return the remaining time for people, a dash if it is not known yet."""
    return "ETA –" if seconds is None else f"ETA {duration(seconds)}"


def joined(parts: Iterable[str]) -> str:
    """Join the parts that are not empty."""
    return DOT.join(part for part in parts if part)


def fitted(before: str, middle: str, after: str, width: int) -> str:
    """Join three parts so that they fit a width; the middle one is cut if there is too little room."""
    room = width - len(joined([before, after])) - len(DOT)
    if len(middle) > room:
        middle = f"{middle[: room - 1].rstrip(' ·')}…" if room > 1 else ""
    return joined([before, middle, after])


class LiveLines:
    """Lines about running work: `short` for a terminal of a given width, `full` for a log, every minute."""

    def __init__(
        self,
        console: Console,
        short: Callable[[int], list[str]],
        full: Callable[[], list[str]],
        *,
        visible: bool = True,
    ) -> None:
        self.console = console
        self.short = short
        self.full = full
        self.live = Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True, auto_refresh=True
        )
        self.visible = visible
        self.stopped = Event()
        self.clock = Thread(target=self._every_minute, daemon=True)

    def __enter__(self) -> LiveLines:
        if self.visible and self.console.is_terminal:
            self.live.start()
        elif self.visible:
            self.clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.live.stop()
        if self.clock.is_alive():
            self.clock.join()

    def print_full(self) -> None:
        """Print the lines for a log."""
        now = datetime.now().strftime("%H:%M:%S")
        for line in self.full():
            self.console.print(Text(f"{now} {printable(line)}"), soft_wrap=True)

    def _render(self) -> Text:
        width = min(self.console.width, MAX_WIDTH) - 1
        return Text("\n".join(map(printable, self.short(width))), no_wrap=True, overflow="ellipsis")

    def _every_minute(self) -> None:
        while not self.stopped.wait(LOG_SECONDS):
            self.print_full()
