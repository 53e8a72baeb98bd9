"""The one error type for mistakes that a user can mend."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UMTError(Exception):
    """One line that names the file or field, the value found and the remedy.

    Commands print it without a traceback and exit with status 2.
    """

    def __str__(self) -> str:
        """The line; names out of files from anywhere cannot break it, nor write to the terminal."""
        return "".join(map(_printable, super().__str__()))


def first_line(error: BaseException) -> str:
    """The first line of what a library says, or its error's type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:100]


def unknown_name(kind: str, name: str, known: Iterable[str], *, listing: str | None = None) -> UMTError:
    """Error for a name that is not registered: close matches first, then what there is.

    `listing` is the command that prints all known names, used when they are too many for a line.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f" Did you mean {' or '.join(close)}?" if close else ""
    shown = f" Known: {', '.join(names)}." if len(names) <= 30 else ""
    see = f" `{listing}` lists them." if listing else ""
    return UMTError(f"unknown {kind} '{name}'.{guess}{shown}{see}")


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
