"""Text from files reaches the terminal as text; lines about running work fit, and a log gets them too."""

from __future__ import annotations

import time
from io import StringIO
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from umt.console import MAX_WIDTH, Console, LiveLines, StepCounter, eta, fitted, print_whole, shown

HOSTILE = "[red]x[/] [link=http://a]y[/link] \x1b]0;title\x07 :boom:"
SEEN = "[red]x[/] [link=http://a]y[/link] \\x1b]0;title\\x07 :boom:"


def printed(*content: object) -> str:
    console = Console(file=StringIO(), force_terminal=True, width=200, color_system=None)
    console.print(*content)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_text_that_goes_through_shown_is_text() -> None:
    assert printed(f"[bold]{shown(HOSTILE)}[/]").replace("\x1b[1m", "").replace("\x1b[0m", "").startswith(SEEN)


def test_a_table_shows_control_characters() -> None:
    table = Table(shown(HOSTILE), title=shown(HOSTILE))
    table.add_row(shown(HOSTILE))
    text = printed(table)
    assert text.count(SEEN) == 3
    assert "\x07" not in text
    assert "\x1b]" not in text


def test_control_characters_of_whoever_forgot_are_shown_too() -> None:
    assert "\x1b]" not in printed("a\x1b]0;title\x07b")
    assert printed("one\ntwo") == "one\ntwo\n"


def test_what_is_no_markup_is_shown_too() -> None:
    assert printed(Text("a\x1b]0;title\x07b\nc")) == "a\\x1b]0;titleb\nc\n"  # rich itself drops a bell


def test_a_bar_shows_control_characters() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=200, color_system=None)
    with Progress(TextColumn("{task.description}"), TextColumn("{task.fields[note]}"), console=console) as progress:
        progress.add_task(shown(HOSTILE.removesuffix(":boom:")), note="forgotten \x1b]0;title")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert SEEN.removesuffix(":boom:") in text
    assert "forgotten \\x1b]0;" in text  # rich cuts it at the width that it had
    assert "\x1b]" not in text


@pytest.mark.parametrize("between", ["", "  ", "x"])
def test_two_pieces_make_no_tag(between: str) -> None:
    """Neither a tag that the second closes, nor a backslash of the first that frees a bracket of the second."""
    pieces = ["[red", "[/red", "red]", "]", "a\\", "a\\\\", "a\\\\\\", "[red]", "[/]", "\\[red]"]
    for first, second in product(pieces, pieces):
        text = Text.from_markup(f"[bold]-[/]{shown(first)}{between}{shown(second)}[bold]-[/]")
        assert len(text.spans) == 2
        assert text.plain.replace("\\", "") == f"-{first}{between}{second}-".replace("\\", "")


@pytest.mark.parametrize("width", [20, 60, 100])
def test_lines_break_between_words_on_a_terminal_and_lose_nothing(width: int) -> None:
    path = "/data/a-folder-with-a-name-that-is-longer-than-a-line"
    markup = (
        f"[green]done[/]  with a few words, and then {shown(path)} [bold]and[/] {shown('[x]')} more words\n\nthe end"
    )
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    print_whole(console, markup, indent=2)
    lines = out.getvalue().splitlines()
    words = f"done with a few words, and then {path} and [x] more words the end".split()
    assert out.getvalue().split() == words, "every word whole, and in its order"
    assert all(len(line) <= width for line in lines if path not in line)
    assert all(line.startswith("  ") for line in lines if line)
    assert "" in lines


def test_lines_of_a_log_are_as_long_as_they_are() -> None:
    out = StringIO()
    print_whole(Console(file=out, width=20), "a word " * 30 + "\nnext", indent=2)
    assert out.getvalue() == "  " + ("a word " * 30).rstrip() + "\n  next\n"


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
    monkeypatch.setattr("umt.console.LOG_SECONDS", 0.02)
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
    assert set(asked) == {min(width, MAX_WIDTH) - 1}
    assert f"{'x' * asked[0]}\n" in out.getvalue().replace("\r", "")
