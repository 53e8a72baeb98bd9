"""The progress line of a distillation shows names of recipes and losses as they are."""

from __future__ import annotations

from io import StringIO

import pytest

from umt.console import Console
from umt.distill.progress import TrainingBar


@pytest.mark.parametrize("terminal", [False, True])
def test_names_are_text(terminal: bool) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, color_system=None, width=200)
    with TrainingBar(console, "{task.x} [red]a[/red] \x1b]0;t") as bar:
        bar.report(1, 1, "loss 1 ([/] {} \x1b]0;t 1)")
    assert "{task.x} [red]a[/red] \\x1b]0;t" in out.getvalue()
    assert "([/] {} \\x1b]0;t 1)" in out.getvalue()
    assert "\x1b]" not in out.getvalue()
