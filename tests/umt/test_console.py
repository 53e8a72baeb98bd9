"""What files say reaches the terminal as text."""

from __future__ import annotations

from io import StringIO

from rich.table import Table

from umt.console import Console, shown

HOSTILE = "[red]x[/] [link=http://a]y[/link] \x1b]0;title\x07 :boom:"
SEEN = "[red]x[/] [link=http://a]y[/link] \\x1b]0;title\\x07"


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
