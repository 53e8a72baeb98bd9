"""The example of a suite: commands that make its backbones, and their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.suite import Suite
from umt.console import Console
from umt.errors import ProcessError


def example_backbones(suite: Suite, data_root: Path, out: Path, console: Console, *, dry_run: bool) -> tuple[str, ...]:
    """Run the suite's `prepare` commands, and give its example; UMTError where one of them fails.

    A command whose work is done already is expected to return at once. A dry run only prints them.
    """
    places = {"data": data_root, "out": out}
    for command in suite.prepare:
        arguments = [part.format(**places) for part in command]
        intent = "would run" if dry_run else "running"
        console.print(f"{intent}: umt {' '.join(arguments)}", soft_wrap=True, markup=False, highlight=False)
        if not dry_run:
            run_command(arguments)
    return tuple(text.format(**places) for text in suite.example)


def run_command(arguments: list[str]) -> None:
    """A `umt` command in a process of its own, which may use all cores and shows its progress itself."""
    status = subprocess.run([sys.executable, "-m", "umt.cli", *arguments]).returncode
    if status:
        raise ProcessError(
            f"`umt {' '.join(arguments)}` ended with exit status {status}; the same command goes on there"
        )
