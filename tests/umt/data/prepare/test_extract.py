"""Hostile archives: each is refused by name, and nothing appears outside the folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.progress import Progress

from umt.data.prepare.extract import Limits, extract
from umt.errors import UMTError

AMPLE = Limits(files=100, size=1 << 26)
OUTSIDE = ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil", "..", "a/.."]


def tar_of_member(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def refused(archive: Path, target: Path, progress: Progress, reason: str, limits: Limits = AMPLE) -> None:
    before = sorted(path for path in target.parent.rglob("*") if target not in (path, *path.parents))
    with pytest.raises(UMTError, match=reason) as caught:
        extract(archive, target, limits, progress)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(path for path in target.parent.rglob("*") if target not in (path, *path.parents)) == before


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
def test_what_is_inside_comes_out(
    tmp_path: Path, progress: Progress, make_tar: Callable[..., Path], make_zip: Callable[..., Path], suffix: str
) -> None:
    files = {"a.txt": b"one", "./deep/er/b.bin": bytes(range(256)) * 5000, "deep/empty": b""}
    archive = (make_zip if suffix == "zip" else make_tar)(tmp_path / f"x.{suffix}", files)
    extract(archive, tmp_path / "out", AMPLE, progress)
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    assert found == {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)) * 5000}
    assert (tmp_path / "out" / "deep" / "empty").is_file()


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
def test_a_path_outside_is_refused(
    tmp_path: Path,
    progress: Progress,
    make_tar: Callable[..., Path],
    make_zip: Callable[..., Path],
    name: str,
    suffix: str,
) -> None:
    archive = (make_zip if suffix == "zip" else make_tar)(tmp_path / f"x.{suffix}", {"fine": b"", name: b"evil"})
    refused(archive, tmp_path / "in" / "out", progress, "a path outside the folder; get the official")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "'x' is a symbolic link"),
        (tarfile.LNKTYPE, "'x' is a hard link"),
        (tarfile.CHRTYPE, "'x' is a device or pipe"),
        (tarfile.BLKTYPE, "'x' is a device or pipe"),
        (tarfile.FIFOTYPE, "'x' is a device or pipe"),
    ],
)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_tar_members_that_are_no_files_are_refused(
    tmp_path: Path, progress: Progress, kind: bytes, reason: str, suffix: str
) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.linkname = kind, "/etc/passwd"
    refused(tar_of_member(tmp_path / f"x.{suffix}", member), tmp_path / "out", progress, reason)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK, "a symbolic link"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
        (stat.S_IFIFO, "a pipe"),
    ],
)
def test_zip_entries_that_are_no_files_are_refused(tmp_path: Path, progress: Progress, mode: int, reason: str) -> None:
    info = zipfile.ZipInfo("x")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "x.zip", tmp_path / "out", progress, f"'x' is {reason}")


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_a_bomb_is_stopped_by_its_ratio(
    tmp_path: Path, progress: Progress, make_tar: Callable[..., Path], make_zip: Callable[..., Path], suffix: str
) -> None:
    archive = (make_zip if suffix == "zip" else make_tar)(tmp_path / f"x.{suffix}", {"zeros": bytes(1 << 25)})
    refused(archive, tmp_path / "out", progress, r"'zeros' is \d+ times the archive's size")
    assert (tmp_path / "out" / "zeros").stat().st_size < 1 << 25


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
def test_size_and_count_are_limited(
    tmp_path: Path, progress: Progress, make_tar: Callable[..., Path], make_zip: Callable[..., Path], suffix: str
) -> None:
    archive = (make_zip if suffix == "zip" else make_tar)(tmp_path / f"x.{suffix}", {"a": bytes(60), "b": bytes(60)})
    refused(archive, tmp_path / "1", progress, "'b' is 120 bytes so far, at most 100", Limits(files=5, size=100))
    refused(archive, tmp_path / "2", progress, "'b' is entry 2, at most 1 are", Limits(files=1, size=1000))


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", ".")])
def test_a_name_that_comes_twice_is_refused(
    tmp_path: Path, progress: Progress, tar_of: Callable[..., bytes], names: tuple[str, str]
) -> None:
    first, second = (tar_of({name: b"x"}) for name in names)
    (tmp_path / "x.tar").write_bytes(first[:1024] + second)
    refused(tmp_path / "x.tar", tmp_path / "out", progress, "there twice")


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
def test_a_truncated_archive_is_named(
    tmp_path: Path, progress: Progress, make_tar: Callable[..., Path], make_zip: Callable[..., Path], suffix: str
) -> None:
    content = {"a": bytes(range(256)) * 40, "b": bytes(range(256)) * 40}
    archive = (make_zip if suffix == "zip" else make_tar)(tmp_path / f"x.{suffix}", content)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 2 // 3 if suffix != "tar" else 6000])
    refused(archive, tmp_path / "out", progress, r"cannot be read \(.*\); download it again")


def test_a_damaged_entry_of_a_zip_is_named(tmp_path: Path, progress: Progress, make_zip: Callable[..., Path]) -> None:
    archive = make_zip(tmp_path / "x.zip", {"a": bytes(range(256))})
    content = bytearray(archive.read_bytes())
    content[60:80] = bytes(20)
    archive.write_bytes(content)
    refused(archive, tmp_path / "out", progress, "cannot be read")


def test_an_encrypted_entry_is_refused(tmp_path: Path, progress: Progress, make_zip: Callable[..., Path]) -> None:
    archive = make_zip(tmp_path / "x.zip", {"a": b"secret"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    refused(archive, tmp_path / "out", progress, "'a' is encrypted")


def test_names_cannot_write_to_the_terminal(tmp_path: Path, progress: Progress, make_tar: Callable[..., Path]) -> None:
    archive = make_tar(tmp_path / "x.tar", {"../\x1b[2J\n": b""})
    refused(archive, tmp_path / "out", progress, r"\\x1b\[2J\\n' is a path outside")
