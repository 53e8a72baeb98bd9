"""Hostile archives: each is refused by name, and nothing appears outside the folder."""

from __future__ import annotations

import bz2
import gzip
import io
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.progress import Progress

from umt.data.prepare.extract import ArchiveLimits, extract
from umt.errors import UMTError

AMPLE = ArchiveLimits(files=100, size=1 << 26)
OUTSIDE = ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil", "C:evil", "..", "a/.."]


def tar_of_member(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def refused(archive: Path, target: Path, progress: Progress, reason: str, limits: ArchiveLimits = AMPLE) -> None:
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
    refused(archive, tmp_path / "1", progress, "'b' is 120 bytes so far, at most 100", ArchiveLimits(files=5, size=100))
    refused(archive, tmp_path / "2", progress, "'b' is entry 2, at most 1 are", ArchiveLimits(files=1, size=1000))


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
    refused(archive, tmp_path / "out", progress, r"\\x1b\[2J ' is a path outside")


EXTENDED = [
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
]
PACK: dict[str, Callable[[bytes], bytes]] = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress}


def header(kind: bytes, size: int = 0, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def extended(kind: bytes, content: bytes) -> bytes:
    return header(kind, len(content)) + content + bytes(-len(content) % 512)


def record(field: str, value: str) -> bytes:
    """A field of an extended header, which begins with its own length."""
    rest = f" {field}={value}\n"
    return f"{len(rest) + 2}{rest}".encode()


@pytest.mark.parametrize("kind", EXTENDED)
@pytest.mark.parametrize("suffix", PACK)
def test_a_header_of_gigabytes_is_not_read(tmp_path: Path, progress: Progress, kind: bytes, suffix: str) -> None:
    archive = tmp_path / f"x.{suffix}"
    archive.write_bytes(PACK[suffix](header(kind, 5 << 30) + bytes(1 << 25)))
    tracemalloc.start()
    refused(archive, tmp_path / "out", progress, r"an extended header of 5,368,709,120 bytes, at most 1,048,576")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 23


@pytest.mark.parametrize("kind", EXTENDED)
def test_many_headers_count_together(tmp_path: Path, progress: Progress, kind: bytes) -> None:
    """Each of half a megabyte, before folders of one name, which a tar may repeat."""
    pair = extended(kind, b"folder" + bytes(1 << 19)) + header(tarfile.DIRTYPE)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(pair * 50))
    refused(tmp_path / "x.tar.gz", tmp_path / "out", progress, "an extended header of 524,294 bytes, at most 1,064,960")


@pytest.mark.parametrize("kind", EXTENDED)
def test_headers_of_headers_come_to_an_end(tmp_path: Path, progress: Progress, kind: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(header(kind) * 1500 + header(tarfile.DIRTYPE))
    refused(tmp_path / "x.tar", tmp_path / "out", progress, r"cannot be read \(a header is damaged: maximum recursion")


@pytest.mark.parametrize("kind", EXTENDED)
def test_a_header_of_negative_size_is_refused(tmp_path: Path, progress: Progress, kind: bytes) -> None:
    """Read with a negative size, a file gives all that it has."""
    (tmp_path / "x.tar").write_bytes(header(kind, -512) + bytes(1 << 20))
    refused(tmp_path / "x.tar", tmp_path / "out", progress, "an extended header of -512 bytes")


@pytest.mark.parametrize(
    "content",
    [
        header(tarfile.REGTYPE, -1024),
        extended(tarfile.XHDTYPE, record("size", "-1024")) + header(tarfile.REGTYPE),
    ],
)
def test_a_member_of_negative_size_is_refused(tmp_path: Path, progress: Progress, content: bytes) -> None:
    """After it comes the same member again, without end."""
    (tmp_path / "x.tar").write_bytes(content + bytes(1024))
    refused(tmp_path / "x.tar", tmp_path / "out", progress, "'x' is of a negative size")


@pytest.mark.parametrize(
    "content",
    [
        header(tarfile.GNUTYPE_SPARSE, 512),
        extended(tarfile.XHDTYPE, record("GNU.sparse.map", "0,9") + record("GNU.sparse.size", "99")),
        extended(tarfile.XHDTYPE, record("GNU.sparse.size", "9999999")),
        extended(tarfile.XHDTYPE, record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")),
    ],
)
def test_sparse_members_are_refused(tmp_path: Path, progress: Progress, content: bytes) -> None:
    """The map of the last is as long as the file says."""
    body = b"99999999\n" + b"1\n" * 1_000_000
    (tmp_path / "x.tar").write_bytes(content + header(tarfile.REGTYPE, len(body)) + body)
    refused(tmp_path / "x.tar", tmp_path / "out", progress, "a file is sparse; none of an official archive is")


def test_a_header_that_is_no_text_is_named(tmp_path: Path, progress: Progress) -> None:
    content = extended(tarfile.XHDTYPE, b"16 hdrcharset=\xff\n") + header(tarfile.REGTYPE)
    (tmp_path / "x.tar").write_bytes(content + bytes(1024))
    refused(tmp_path / "x.tar", tmp_path / "out", progress, r"cannot be read \(a header is damaged: 'utf-8' codec")


@pytest.mark.parametrize("name", ["d/" * 5000 + "x", "d/" * 32 + "x", "n" * 1025])
@pytest.mark.parametrize("suffix", ["tar", "zip"])
def test_a_deep_or_long_path_is_refused(
    tmp_path: Path,
    progress: Progress,
    make_tar: Callable[..., Path],
    make_zip: Callable[..., Path],
    name: str,
    suffix: str,
) -> None:
    archive = (make_zip if suffix == "zip" else make_tar)(tmp_path / f"x.{suffix}", {name: b""})
    refused(archive, tmp_path / "out", progress, "is a path of more than 32 folders or 1,024 bytes; get the official")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_come_out(tmp_path: Path, progress: Progress, form: int) -> None:
    """Two hundred of them, each with an extended header, after a global one as `git archive` writes it."""
    names = [f"{'ö' * 70}/{index:0150}" for index in range(200)]
    with tarfile.open(tmp_path / "x.tar", "w", format=form, pax_headers={"comment": "0" * 40}) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    extract(tmp_path / "x.tar", tmp_path / "out", ArchiveLimits(files=200, size=0), progress)
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*/*"))
    assert found == names
