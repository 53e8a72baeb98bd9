"""The running jobs of a suite: live lines, and the end of each job."""

from __future__ import annotations

import time

from benchmarks.jobs.progress import COLOURS
from benchmarks.suite.request import JobReport, JobRequest
from umt.console import Console, LiveLines, StepCounter, eta, fitted, joined, print_whole, shown


class LiveJobs(LiveLines):
    """Progress of the suite: a line for all jobs, a line for each running job, a line for each ended job."""

    def __init__(self, console: Console, total: int) -> None:
        self.total = total
        self.started = time.monotonic()
        self.running: dict[JobRequest, StepCounter] = {}
        self.newest: JobRequest | None = None  # the job that reported last
        self.reports: dict[JobRequest, JobReport] = {}
        super().__init__(console, self._short, self._full)  # asks for the lines

    def start(self, request: JobRequest) -> None:
        self.running[request] = StepCounter(text="starting")
        self.newest = self.newest or request

    def advance(self, request: JobRequest, done: int, total: int, text: str) -> None:
        self.running[request] = self.running[request].advanced(done, total, text)
        self.newest = request

    def end(self, request: JobRequest, report: JobReport) -> None:
        self.reports[request] = report
        del self.running[request]
        if self.newest == request:
            self.newest = next(iter(self.running), None)
        head = f"[{COLOURS[report.status]}]{report.status}[/] {shown(request.title)} ({report.seconds:.0f} s)"
        print_whole(self.console, f"{head}{': ' if report.message else ''}{shown(report.message)}")

    def _short(self, width: int) -> list[str]:
        """Return the line of all jobs, which shows its ends at any width, then the running jobs if there is room."""
        running, newest = dict(self.running), self.newest
        counter = running.get(newest, StepCounter()) if newest else StepCounter()
        task = joined([newest.key.task, newest.key.dataset]) if newest else ""
        first = fitted(self._count(), task, joined([counter.rate, self._remaining(running)]), width)
        return [first, *(_short_line(request, counter, width) for request, counter in running.items())]

    def _full(self) -> list[str]:
        running = dict(self.running)
        ends = self._remaining(running)
        return [
            joined([self._count(), _job_line(request, counter).strip(), ends]) for request, counter in running.items()
        ]

    def _count(self) -> str:
        return f"{len(self.reports)}/{self.total}"

    def _remaining(self, running: dict[JobRequest, StepCounter]) -> str:
        """Return the time that is left if the jobs to come take as long as the ones so far."""
        done = len(self.reports) + sum(counter.fraction for counter in running.values())
        spent = time.monotonic() - self.started
        return eta(spent / done * (self.total - done) if done else None)


def _job_line(request: JobRequest, counter: StepCounter) -> str:
    return "  " + joined([request.title, counter.count, counter.text, counter.rate])


def _short_line(request: JobRequest, counter: StepCounter, width: int) -> str:
    """Return the line of a job that shows its step and its loss, and as much of its title as there is room for."""
    return f"  {fitted(counter.count, request.title, counter.text, width - 2)}"[:width]
