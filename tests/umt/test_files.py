"""A file is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from umt import files
from umt.errors import TrustError, UMTError
from umt.files import atomic_file, below, component, open_plain, read_plain


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


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ViT-B/16", "ViT-B_16"),
        ("UMT student, lite0 head", "UMT_student_lite0_head"),
        ("Größe", "Größe"),
        ("_x_", "x"),
    ],
)
def test_a_part_of_a_path_is_the_text_in_short(text: str, part: str) -> None:
    assert component(text) == part


@pytest.mark.parametrize("text", ["", ".", "..", "@@", "~", "…", "/", "../..", ".git", "x" * 300, "é" * 150, "\udcff"])
def test_a_part_of_a_path_is_always_one_below_its_folder(tmp_path: Path, text: str) -> None:
    part = component(text)
    assert len(part.encode()) <= 200
    assert not part.startswith(".")
    assert (tmp_path / part).resolve().parent == tmp_path.resolve()
    assert re.search(r"-[0-9a-f]{12}$", part)


def test_odd_texts_keep_apart() -> None:
    odd = ["", ".", "..", "@@", "~", "…", "x" * 300, "x" * 301]
    assert len({component(text) for text in odd}) == len(odd)


def test_below(tmp_path: Path) -> None:
    assert below(tmp_path, "a", "b.json") == tmp_path / "a/b.json"
    (tmp_path / "loop").symlink_to("loop")
    assert below(tmp_path, "loop", "b.json") == tmp_path / "loop/b.json"
    (tmp_path / "out").symlink_to("/etc")
    for parts in (("..", "x"), ("/etc/passwd",), ("a/../../x",), ("out", "passwd")):
        with pytest.raises(TrustError, match="lies outside"):
            below(tmp_path, *parts)


@pytest.mark.parametrize("mode", ["rb", "r+b", "ab", "wb"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "link"])
def test_only_plain_files_are_opened(
    make_special: Callable[[Path, str], None], tmp_path: Path, mode: str, kind: str
) -> None:
    make_special(tmp_path / "x", kind)
    with pytest.raises(OSError):  # noqa: PT011  (which one depends on kind and mode)
        open_plain(tmp_path / "x", mode)
    if kind == "link":
        assert (tmp_path / "x.target").read_bytes() == b"target"


def test_devices_stay_closed_where_links_are_followed() -> None:
    with pytest.raises(OSError, match="is a device, not a plain file"):
        open_plain(Path("/dev/zero"), links=True)


def test_plain_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with open_plain(path, "wb") as handle:
        handle.write(b"one")
    with open_plain(path, "ab") as handle:
        handle.write(b" two")
    assert read_plain(path) == b"one two"
    with open_plain(path, "wb") as handle:
        handle.write(b"3")
    (tmp_path / "link").symlink_to(path)
    assert read_plain(tmp_path / "link", links=True) == b"3"
    with pytest.raises(OSError, match="has 1 bytes, at most 0 are read"):
        read_plain(path, max_bytes=0)


def test_links_of_the_user_may_lead_elsewhere_and_names_may_not(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").symlink_to("/etc/hostname")
    assert below(tmp_path, "mine.pth", links=True) == tmp_path / "mine.pth"
    for part in ("../x", "/etc/hostname", "a/../../x"):
        with pytest.raises(TrustError, match="lies outside"):
            below(tmp_path, part, links=True)


KILLED = """
import os, signal, sys
from pathlib import Path
from umt.files import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_that_is_written(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "result.json")], check=False)
    (abandoned,) = tmp_path.iterdir()
    foreign = tmp_path / ".partial-another-machine-abcd"
    foreign.touch()
    with atomic_file(tmp_path / "slow.json") as slow:
        (written,) = set(tmp_path.iterdir()) - {abandoned, foreign}
        for old in (abandoned, foreign, written):
            os.utime(old, (1, 1))
        files._remove_abandoned.cache_clear()  # as a new process
        with atomic_file(tmp_path / "next.json") as file:
            file.write(b"{}")
        assert sorted(tmp_path.iterdir()) == sorted([foreign, written, tmp_path / "next.json"])
        slow.write(b"whole")
    assert (tmp_path / "slow.json").read_bytes() == b"whole"


def test_a_fresh_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "result.json")], check=False)
    files._remove_abandoned.cache_clear()
    with atomic_file(tmp_path / "next.json") as file:
        file.write(b"{}")
    assert len(list(tmp_path.glob(".partial-*"))) == 1
