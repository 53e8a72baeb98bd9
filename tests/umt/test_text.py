"""Text from files can be shown: it neither acts on a terminal nor comes to no end."""

from __future__ import annotations

import pytest

from umt.text import brief, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 5 µm", "Größe 5 µm"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("one\ntwo\tthree\r", "one two three "),
        ("\u202eevil", "\\u202eevil"),
        ("\x07\x00", "\\x07\\x00"),
        ("\udcff", "\\udcff"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def endless() -> list[object]:
    values: list[object] = []
    values.append(values)
    return values


def test_brief() -> None:
    assert brief(3) == "3"
    assert brief([1, 2]) == "[1, 2]"
    assert brief("x" * 100) == repr("x" * 60)


def test_brief_of_what_cannot_be_printed() -> None:
    assert brief(10**5000) == "an integer of 16610 bits"
    assert brief({"a": 10**5000}) == "a dict"
    assert brief(endless()) == "[[[[[[[...]]]]]]]"
