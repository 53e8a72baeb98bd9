"""The live display of a suite, at the widths that terminals have, and in a log."""

from __future__ import annotations

import re
import time
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks.jobs.live import LiveJobs
from benchmarks.results import Key
from benchmarks.suite.request import JobReport, JobRequest
from umt.console import Console


def request(task: str, seed: int = 0, backbone: str = "a-student-with-a-long-name") -> JobRequest:
    key = Key(backbone, "a" * 64, task, "caltech101", "paper", "0" * 12, "f" * 16, seed)
    return cast(JobRequest, Requested(key))


class Requested(SimpleNamespace):
    """The part of a request that the display reads."""

    def __init__(self, key: Key) -> None:
        super().__init__(key=key, title=key.title)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return bool(self.key == other.key)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A display of 41 jobs after an hour: seven have ended, and one is half done after ten seconds."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    out = StringIO()
    live = LiveJobs(Console(file=out, width=200), 41)
    for seed in range(7):
        live.start(request("knn", seed))
        live.end(request("knn", seed), JobReport("done", "", 500.0))
    running = request("finegrained_finetune")
    live.start(running)
    clock.now = 3590.0
    live.advance(running, 0, 60, "loss 3.2, 60 img/s")
    clock.now = 3600.0
    live.advance(running, 30, 60, "loss 2.1, 60 img/s")
    return live


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_first_line_has_it_all_at_any_width(shown: LiveJobs, width: int) -> None:
    first, job = shown._short(width)
    assert len(first) <= width
    assert re.fullmatch(r"7/41 · finegrained_finet\S*.* · 3 it/s · ETA 4 h 28 min", first)
    assert len(job) <= width
    assert re.fullmatch(r"  30/60 · a-student-.* · loss 2\.1, 60 img/s", job)


def test_a_log_line_has_job_step_and_loss(shown: LiveJobs) -> None:
    (line,) = shown._full()
    for part in ("7/41", "a-student-with-a-long-name · finegrained_finetune", "30/60", "loss 2.1", "ETA 4 h 28 min"):
        assert part in line


def test_without_a_running_job_the_count_stands_alone() -> None:
    live = LiveJobs(Console(file=StringIO()), 3)
    assert live._short(60) == ["0/3 · ETA –"]


def test_the_end_of_a_job_is_a_line(shown: LiveJobs) -> None:
    shown.end(request("finegrained_finetune"), JobReport("failed", "no disk [/]", 9.0))
    assert "failed a-student-with-a-long-name" in shown.console.file.getvalue()  # type: ignore[attr-defined]
    assert "(9 s): no disk [/]" in shown.console.file.getvalue()  # type: ignore[attr-defined]
    assert shown._short(80)[0].startswith("8/41 · ETA")
