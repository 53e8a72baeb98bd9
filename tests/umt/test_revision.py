"""The commit of a working tree, against a repository made by git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from umt.revision import Revision, revision

AS = ("-c", "user.name=a", "-c", "user.email=a@b")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *AS, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "inside").mkdir()
    commit = git(tmp_path, "log", "-1", "--format=%H").strip()
    assert revision(tmp_path / "inside") == Revision(commit, dirty=False)
    (tmp_path / "new.txt").touch()
    assert revision(tmp_path / "inside") == Revision(commit, dirty=True)


def test_no_repository_has_no_commit(tmp_path: Path) -> None:
    assert revision(tmp_path) == Revision(None, None)
    assert revision(tmp_path / "missing") == Revision(None, None)
