"""Text for people: durations, and text that a file from outside may have chosen, without control characters and cut."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

BRIEF = Repr()  # prints the first few values of the first few levels
MAX_INTEGER = 1 << 64  # Python refuses to print integers of more than 4,300 digits


def printable(text: str) -> str:
    """Return text in which every character is visible: white space becomes a blank, control characters their code.

    An escape sequence cannot act on the terminal, nor a direction mark on the reader's screen.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def brief(value: Any) -> str:
    """Return the beginning of a value as Python writes it, also of a value that has no end or cannot be printed."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    try:
        return BRIEF.repr(value)[:80]
    except (ValueError, RecursionError):  # it holds such an integer, or a value whose own repr fails
        return f"a {type(value).__name__}"


def duration(seconds: float) -> str:
    """Return a number of seconds as 2 d 3 h, 3 h 20 min, 12 min or 40 s."""
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // part:.0f} {smaller}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()
