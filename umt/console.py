"""The only way to the terminal: text from files is text, never markup and never an escape sequence.

Long work shows lines at the end of a terminal that are drawn anew, and in a log a line every minute.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event, Thread
from typing import Any, Self

import rich.console
from rich.live import Live
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from umt.text import duration, printable

LOG_SECONDS = 60.0  # between two lines, if there is no terminal
MAX_WIDTH = 120  # of a line on a terminal
DOT = " · "
BACKSLASHES = re.compile(r"\\*(?:\[|$)")  # before a bracket, or at the end: the next piece may begin with a bracket


class Console(rich.console.Console):
    """A rich console that shows control characters instead of sending them, in every text that it is given."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text` with its markup read; lines stay lines."""
        return super().render_str(_printable_lines(text), **{**options, "emoji": False})  # `:x:` may be part of a name

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """Yield the segments to write, also of a `Text`, a bar or a status, which are never given to `render_str`."""
        for segment in super().render(*arguments, **options):
            safe = segment.control is not None or segment.text.isprintable()
            yield segment if safe else segment._replace(text=_printable_lines(segment.text))


def shown(text: object) -> str:
    """Return text from a file for use in markup: brackets stay brackets, control characters show their code."""
    return BACKSLASHES.sub(_inert, escape(printable(str(text))))


def print_whole(console: Console, markup: str, indent: int = 0) -> None:
    """Print lines of markup that break between words on a terminal, and nowhere in a log.

    A word that is longer than a line is left to the terminal.
    """
    for line in console.render_str(markup).split("\n", allow_blank=True):
        room = console.width - indent if console.is_terminal else len(line)
        for part in line.divide(_breaks(line.plain, room)):
            part.rstrip()
            console.print(Text(" " * indent if part else "") + part, soft_wrap=True, highlight=False)


def _breaks(line: str, room: int) -> list[int]:
    """Return where a line goes on in the next one, so that words are whole; a long one has a line of its own."""
    breaks = [0]
    for word in re.finditer(r"\S+", line):
        if word.end() - breaks[-1] > room and line[breaks[-1] : word.start()].strip():
            breaks.append(word.start())
    return breaks[1:]


def warn_old_option(option: str, remedy: str) -> None:
    """Warn that an option of an earlier version works for one more release only."""
    warnings.warn(f"{option} goes with the next release: {remedy}", FutureWarning, stacklevel=3)


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

    def __enter__(self) -> Self:
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


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _inert(match: re.Match[str]) -> str:
    """Escape a bracket by an odd number of backslashes, also if a later piece closes it; an even one ends a piece."""
    run = match[0]
    odd = run.count("\\") % 2
    return run if odd == run.endswith("[") else f"\\{run}"
