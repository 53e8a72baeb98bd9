"""Child processes import nothing from the current folder, whatever lies there under the name of a module."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SAFE_PATH = {"PYTHONSAFEPATH": "1"}  # Python 3.11 and newer; children of children have it, too


def use_safe_path() -> None:
    """Make all processes that start from here on leave the current folder out of where they import from."""
    os.environ.update(SAFE_PATH)


def leave_current_folder() -> None:
    """Take the current folder off this process's own path, where `python -m` has put it; children would inherit it."""
    if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]
