"""Folders appear whole or not at all, and replace nothing but an earlier export."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from umt.errors import UMTError
from umt.export.folder import MARK, export_folder


def written(out: Path, name: str) -> Path:
    with export_folder(out, {"to": "timm"}) as folder:
        (folder / name).write_text("content")
    return out


def test_a_folder_names_its_files_and_is_replaced_by_the_next_export(tmp_path: Path) -> None:
    out = written(tmp_path / "deep" / "out", "a.bin")
    assert json.loads((out / MARK).read_text()) == {"to": "timm", "files": ["a.bin", MARK]}
    written(out, "b.bin")
    assert sorted(path.name for path in out.iterdir()) == ["b.bin", MARK]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_all_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with export_folder(tmp_path / "out", {"to": "timm"}) as folder:
            os.close(os.open(folder / "private.bin", os.O_CREAT, 0o600))  # as some libraries write
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert modes == {"private.bin": 0o640, MARK: 0o640}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = written(tmp_path / "out", "a.bin")
    with pytest.raises(UMTError, match="differs"), export_folder(out, {}) as folder:
        (folder / "b.bin").write_text("wrong")
        raise UMTError("differs")
    assert sorted(path.name for path in out.iterdir()) == ["a.bin", MARK]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert (written(tmp_path / "out", "a.bin") / "a.bin").is_file()


@pytest.mark.parametrize("mark", [None, "{", "[]", '{"files": ["other"]}'])
def test_files_of_somebody_else_are_safe(tmp_path: Path, mark: str | None) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "AAA.txt").write_text("mine")
    if mark:
        (tmp_path / "out" / MARK).write_text(mark)
    with pytest.raises(UMTError, match=r"out: holds 'AAA.txt', which no export put there; choose another --out"):
        written(tmp_path / "out", "a.bin")
    assert (tmp_path / "out" / "AAA.txt").read_text() == "mine"


def test_a_file_added_to_an_export_is_safe(tmp_path: Path) -> None:
    out = written(tmp_path / "out", "a.bin")
    (out / ".git").mkdir()
    with pytest.raises(UMTError, match=r"holds '\.git'"):
        written(out, "a.bin")


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UMTError, match="file: is a file; choose another --out"):
        written(tmp_path / "file", "a.bin")
    with pytest.raises(UMTError, match=r"file/out: cannot be written \(.*\); choose another --out"):
        written(tmp_path / "file" / "out", "a.bin")


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_mark_that_is_no_plain_file_is_none(tmp_path: Path, kind: str) -> None:
    """A link to the mark of another export does not make files that have its names ours."""
    other, out = written(tmp_path / "other", "a.bin"), tmp_path / "out"
    out.mkdir()
    (out / "a.bin").write_text("mine")
    (out / MARK).symlink_to(other / MARK) if kind == "link" else os.mkfifo(out / MARK)
    with pytest.raises(UMTError, match=r"out: holds 'a.bin', which no export put there"):
        written(out, "a.bin")
    assert (out / "a.bin").read_text() == "mine"
