"""Hostile archives through `umt data prepare`: stopped early, named, nothing left, and the official one works after.

Links, devices, paths outside and small bombs of each format are in tests/umt/data/prepare/test_extract.py.
"""

from __future__ import annotations

import bz2
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from umt.cli import cli
from umt.errors import UMTError

NAME = "CUB_200_2011.tgz"
STREAM = 1 << 24  # bytes of one compressed stream; streams one after the other decompress to their sum
SIZE = 10 << 30  # bytes of the large bomb
ENTRIES = 10_000_000
HEADER = 512  # bytes of an entry in a tar

Make = Callable[[Path], None]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def only(info: tarfile.TarInfo) -> Make:
    def make(path: Path) -> None:
        with tarfile.open(path, "w:gz") as tar:
            tar.addfile(info)

    return make


def ten_gigabytes(path: Path) -> None:
    """A file of zeros, sixteen megabytes a stream."""
    info = member("CUB_200_2011/images/zeros.jpg")
    info.size = SIZE
    zeros = bz2.compress(bytes(STREAM))
    path.write_bytes(bz2.compress(info.tobuf(tarfile.GNU_FORMAT)) + zeros * (SIZE // STREAM))


def ten_million_entries(path: Path) -> None:
    """Folders of one name, which a tar may repeat, a hundred thousand a stream."""
    header = member("CUB_200_2011/", tarfile.DIRTYPE).tobuf(tarfile.GNU_FORMAT)
    assert len(header) == HEADER
    many = bz2.compress(header * 100_000)
    path.write_bytes(many * (ENTRIES // 100_000))


def official(path: Path) -> None:
    """Write the archive as it should be, with an image to train and an image to test."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "jpeg")
    files = {
        "classes.txt": b"1 001.Bird\n",
        "images.txt": b"1 001.Bird/a.jpg\n2 001.Bird/b.jpg\n",
        "image_class_labels.txt": b"1 1\n2 1\n",
        "train_test_split.txt": b"1 1\n2 0\n",
        "images/001.Bird/a.jpg": buffer.getvalue(),
        "images/001.Bird/b.jpg": buffer.getvalue(),
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = member(f"CUB_200_2011/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def prepare(archive: Path, root: Path) -> Any:
    return CliRunner().invoke(cli, ["data", "prepare", "cub", "--from", str(archive), "--data-root", str(root)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (only(member("/CUB_200_2011/x")), "entry '/CUB_200_2011/x' is a path outside the folder"),
        (only(member("CUB_200_2011/../../x")), "is a path outside the folder"),
        (only(member("CUB_200_2011/x", tarfile.SYMTYPE, "/etc")), "is a symbolic link"),
        (only(member("CUB_200_2011/x", tarfile.LNKTYPE, "/etc/passwd")), "is a hard link"),
        (only(member("CUB_200_2011/x", tarfile.CHRTYPE)), "is a device or pipe"),
        (ten_gigabytes, "times the archive's size, expected a few times"),
        (ten_million_entries, "is entry 30,001, at most 30,000 are expected"),
    ],
)
def test_hostile_archives(tmp_path: Path, make: Make, message: str) -> None:
    archive, root = tmp_path / NAME, tmp_path / "data"
    make(archive)
    assert archive.stat().st_size < 1 << 22
    refused = prepare(archive, root)
    assert isinstance(refused.exception, UMTError)
    assert str(refused.exception).startswith(f"{archive}: entry '")
    assert message in str(refused.exception)
    assert str(refused.exception).endswith("; get the official archive")
    left = [path for path in tmp_path.rglob("*") if path != archive and path.is_file() and path.suffix != ".lock"]
    assert left == []
    official(archive)
    mended = prepare(archive, root)
    assert mended.exit_code == 0, mended.output
    assert (root / "CUB_200_2011/images/001.Bird/a.jpg").is_file()
