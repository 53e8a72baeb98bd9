"""The git revision of the running code, which results and checkpoints store as their origin."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Revision:
    """The commit of a working tree, and whether files in it differ from it; None without a repository."""

    commit: str | None
    dirty: bool | None


def revision(folder: Path) -> Revision:
    """Return the revision of the repository that holds `folder`."""
    commit = _git(folder, "rev-parse", "HEAD")
    return Revision(commit, None if commit is None else bool(_git(folder, "status", "--porcelain")))


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
