"""The files of a report or an analysis: below a folder, whole, or an error."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from reports.writers.files import write_files
from umt.console import Console
from umt.errors import WriteError


def test_files_are_written_and_their_paths_printed(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=20)
    write_files({"a.json": b"{}", "b.[red]": b"\x00"}, tmp_path / "new" / "folder", console)
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()} == {
        "a.json": b"{}",
        "b.[red]": b"\x00",
    }
    folder = tmp_path / "new" / "folder"
    assert console.file.getvalue() == f"{folder}/a.json\n{folder}/b.[red]\n"  # type: ignore[attr-defined]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="choose another --out"):
        write_files({"a": b""}, tmp_path / "file", Console(quiet=True))
