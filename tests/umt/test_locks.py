"""Locks between processes, also on file systems that have none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from umt.locks import lock


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with lock(tmp_path / "a") as there:
        assert there
        with pytest.raises(Timeout), lock(tmp_path / "a", timeout=0):
            pass
    with lock(tmp_path / "a", timeout=0):
        pass


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("flock")])
def test_a_file_system_without_locks_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def refuse(self: FileLock) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with lock(tmp_path / "a") as there:
        assert not there
    (record,) = caplog.records
    assert "this file system has no locks; start one run at a time there" in record.getMessage()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"File exists|Not a directory"), lock(tmp_path / "file" / "a"):
        pass
