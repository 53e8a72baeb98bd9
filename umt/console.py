"""The one way to the terminal: text from files is text, never markup and never an escape sequence."""

from __future__ import annotations

from typing import Any

import rich.console
from rich.markup import escape
from rich.text import Text

from umt.text import printable


class Console(rich.console.Console):
    """A rich console that shows control characters instead of sending them, in every text that it is given."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text` with its markup read; lines stay lines."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


def shown(text: object) -> str:
    """Return text from a file for a place in markup: brackets stay brackets, control characters show their code."""
    return escape(printable(str(text)))
