"""The progress of a distillation: one line on a terminal, a line every minute in a log file."""

from __future__ import annotations

from umt.console import Console, LiveLines, StepCounter, fitted, joined, print_whole, shown


class TrainingBar(LiveLines):
    """A line of the engine's reports: done, total, text. Silent unless `visible`: only the first process is visible."""

    def __init__(self, console: Console, title: str, visible: bool = True) -> None:
        self.title = title
        self.counter = StepCounter()
        super().__init__(console, self._short, self._full, visible=visible)  # asks for the lines

    def report(self, done: int, total: int, text: str) -> None:
        """Show the progress, the first and the last one as a line: the first tells from where a run goes on."""
        first = not self.counter.total
        self.counter = self.counter.advanced(done, total, text)
        if self.visible and (first or (done == total and not self.console.is_terminal)):
            print_whole(self.console, f"{shown(self.title)} {done}/{total} {shown(text)}")

    def _short(self, width: int) -> list[str]:
        counter = self.counter
        rate = joined([counter.rate, counter.remaining])
        return [fitted(counter.count, joined([self.title, counter.text]), rate, width)]

    def _full(self) -> list[str]:
        counter = self.counter
        return [joined([self.title, counter.count, counter.text, counter.rate, counter.remaining])]
