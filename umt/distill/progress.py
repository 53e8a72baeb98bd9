"""The progress line of a distillation: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from umt.console import Console, shown

LOG_SECONDS = 30.0  # between lines, if there is no terminal


class TrainingBar:
    """A bar of the engine's reports: done, total, text. Silent unless `visible`: only the first process is visible."""

    def __init__(self, console: Console, title: str, visible: bool = True) -> None:
        self.console, self.title, self.visible = console, title, visible
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not (visible and console.is_terminal),
        )
        self.task = self.bar.add_task(shown(title), total=None, note="")
        self.printed: float | None = None

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def report(self, done: int, total: int, text: str) -> None:
        """Show the progress, the first one as a line: it tells from where a run goes on."""
        self.bar.update(self.task, completed=done, total=total, note=shown(text))
        now = time.monotonic()
        first = self.printed is None
        is_due = self.printed is None or now - self.printed >= LOG_SECONDS or done == total
        if self.visible and is_due and (first or not self.console.is_terminal):
            self.printed = now
            self.console.print(f"{shown(self.title)} {done}/{total} {shown(text)}", soft_wrap=True, highlight=False)
