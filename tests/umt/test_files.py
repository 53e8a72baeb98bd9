"""A file is there whole, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from umt.errors import UMTError
from umt.files import atomic_file


def test_file_takes_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with atomic_file(path) as handle:
        handle.write(b"half")
        assert not path.exists()
        handle.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as handle:
        handle.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "a") as handle:
            handle.write(b"x")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path: Path, wrapped: bool) -> None:
    path = tmp_path / "student.pth"
    path.write_bytes(b"old")
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(
            UMTError, match=r"student.pth: cannot be written \(No space left on device\); the file before it"
        ),
        atomic_file(path) as handle,
    ):
        handle.write(b"new")
        if not wrapped:
            raise full
        try:
            raise full
        finally:
            raise RuntimeError("archive not closed")  # as torch does
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
