"""The only way to the terminal: text from files is text, never markup and never an escape sequence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from umt.text import printable

BACKSLASHES = re.compile(r"\\*(?:\[|$)")  # before a bracket, or at the end: the next piece may begin with a bracket


class Console(rich.console.Console):
    """A rich console that shows control characters instead of sending them, in every text that it is given."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text` with its markup read; lines stay lines."""
        return super().render_str(_printable_lines(text), **{**options, "emoji": False})  # `:x:` may be part of a name

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """Yield the segments to write, also of a `Text`, a bar or a status, which are never given to `render_str`."""
        for segment in super().render(*arguments, **options):
            safe = segment.control is not None or segment.text.isprintable()
            yield segment if safe else segment._replace(text=_printable_lines(segment.text))


def shown(text: object) -> str:
    """Return text from a file for use in markup: brackets stay brackets, control characters show their code."""
    return BACKSLASHES.sub(_inert, escape(printable(str(text))))


def print_whole(console: Console, markup: str, indent: int = 0) -> None:
    """Print lines of markup that break between words on a terminal, and nowhere in a log.

    A word that is longer than a line is left to the terminal.
    """
    for line in console.render_str(markup).split("\n", allow_blank=True):
        room = console.width - indent if console.is_terminal else len(line)
        for part in line.divide(_breaks(line.plain, room)):
            part.rstrip()
            console.print(Text(" " * indent if part else "") + part, soft_wrap=True, highlight=False)


def _breaks(line: str, room: int) -> list[int]:
    """Return where a line goes on in the next one, so that words are whole; a long one has a line of its own."""
    breaks = [0]
    for word in re.finditer(r"\S+", line):
        if word.end() - breaks[-1] > room and line[breaks[-1] : word.start()].strip():
            breaks.append(word.start())
    return breaks[1:]


def warn_old_option(option: str, remedy: str) -> None:
    """Warn that an option of an earlier version works for one more release only."""
    warnings.warn(f"{option} goes with the next release: {remedy}", FutureWarning, stacklevel=3)


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _inert(match: re.Match[str]) -> str:
    """Escape a bracket by an odd number of backslashes, also if a later piece closes it; an even one ends a piece."""
    run = match[0]
    odd = run.count("\\") % 2
    return run if odd == run.endswith("[") else f"\\{run}"
