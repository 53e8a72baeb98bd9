"""Lines about running work: what they say, that they fit, and that a log gets them too."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umt import live
from umt.console import Console
from umt.live import LiveLines, StepCounter, eta, fitted


def test_rate_and_remaining_time_follow_from_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    counter = StepCounter().advanced(50, 1050, "going on")
    assert (counter.rate, counter.remaining) == ("", "ETA –"), "steps of an earlier run say nothing about this one"
    now = 110.0
    counter = counter.advanced(80, 1050, "loss 1")
    assert (counter.count, counter.rate, counter.remaining) == ("80/1050", "3 it/s", "ETA 5 min")
    assert counter.fraction == pytest.approx(80 / 1050)


def test_another_total_is_counted_anew() -> None:
    counter = StepCounter(9, 10).advanced(1, 500, "")
    assert (counter.done, counter.total, counter.first, counter.rate) == (1, 500, 1, "")


def test_the_remaining_time_has_at_most_two_units() -> None:
    assert [eta(seconds) for seconds in (None, 7.0, 7500.0)] == ["ETA –", "ETA 7 s", "ETA 2 h 5 min"]


@given(st.text(max_size=90), st.integers(40, 120))
def test_a_line_keeps_its_ends_and_its_width(middle: str, width: int) -> None:
    line = fitted("7/41", middle, "3 it/s · ETA 2 h", width)
    assert len(line) <= width
    assert line.startswith("7/41 · ")
    assert line.endswith("3 it/s · ETA 2 h")


def test_a_log_gets_lines_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOG_SECONDS", 0.02)
    out = StringIO()
    long = "a job " * 40
    with LiveLines(Console(file=out, width=80), lambda width: [], lambda: [f"{long}[b]\x1b"]):
        deadline = time.monotonic() + 10
        while out.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = out.getvalue().splitlines()
    assert len(lines) >= 3
    assert all(line[2] == ":" and line.endswith("[b]\\x1b") for line in lines), "whole lines, each with its time"
    time.sleep(0.05)
    assert out.getvalue().splitlines() == lines, "nothing after the end"


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_terminal_shows_lines_that_fit(width: int) -> None:
    out, asked = StringIO(), []
    console = Console(file=out, width=width, force_terminal=True, color_system=None)

    def short(room: int) -> list[str]:
        asked.append(room)
        return ["x" * room, "second"]

    with LiveLines(console, short, list):
        pass
    assert set(asked) == {min(width, live.MAX_WIDTH) - 1}
    assert f"{'x' * asked[0]}\n" in out.getvalue().replace("\r", "")
