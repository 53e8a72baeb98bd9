"""Child processes import nothing from the current folder, even if a file there has the name of a module."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "PYTHONSAFEPATH"  # Python 3.11 and newer; children of children have it, too


@contextmanager
def safe_path() -> Iterator[None]:
    """Keep the current folder out of the import path of processes that start in the block."""
    before = os.environ.get(NAME)
    os.environ[NAME] = "1"
    try:
        yield
    finally:
        del os.environ[NAME]
        if before is not None:
            os.environ[NAME] = before


def leave_current_folder() -> None:
    """Take the current folder off this process's own path, where `python -m` has put it; children would inherit it."""
    if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]
