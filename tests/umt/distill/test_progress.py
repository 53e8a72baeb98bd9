"""The progress line of a distillation shows names of recipes and losses as they are."""

from __future__ import annotations

import re
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


def test_the_line_that_stays_breaks_between_words() -> None:
    out, words = StringIO(), "loss 3.688 (lite0 feature 1.034, lite0 token 0.882), teachers 32% of the time"
    with TrainingBar(Console(file=out, force_terminal=True, color_system=None, width=40), "mini-cnn-pypi") as bar:
        bar.report(1, 9, words)
    stays = f"mini-cnn-pypi 1/9 {words}"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    lines = [line.strip() for line in plain.splitlines() if line.strip() and line.strip() in stays]
    assert " ".join(lines) == stays
    assert max(map(len, lines)) <= 40
