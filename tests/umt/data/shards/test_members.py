"""Tars from anywhere: each odd entry is refused by name, and nothing is read outside a tar."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from umt.data.shards.members import TarScan
from umt.errors import UMTError

Members = dict[str, bytes]


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    def make(members: Members, mode: str = "w", kind: bytes = tarfile.REGTYPE) -> Path:
        with tarfile.open(tmp_path / "n01440764.tar", mode) as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
                info.linkname = "/etc/passwd"
                tar.addfile(info, io.BytesIO(content))
        return tmp_path / "n01440764.tar"

    return make


@pytest.mark.parametrize(
    ("members", "classes", "message"),
    [
        ({"a.jpg": b"x", "b.cls": b"1"}, (), "image 'a.jpg' has no .cls or .json beside it"),
        ({"a.jpg": b"x", "a.cls": b"cat"}, (), "'a.cls' holds no number of a class from 0 on"),
        ({"a.jpg": b"x", "a.cls": b"-1"}, (), "'a.cls' holds no number of a class"),
        ({"a.jpg": b"x", "a.cls": b"9" * 5000}, (), "'a.cls' holds no number of a class"),
        ({"a.jpg": b"x", "a.cls": b"2"}, ("cat", "dog"), "'a.cls' holds no number of a class below 2"),
        ({"a.jpg": b"x", "a.json": b'{"caption": "cat"}'}, (), "'a.json' holds no number"),
        ({"a.jpg": b"x", "a.json": b"[" * 60000}, (), "'a.json' holds no number"),
        ({"../cat/a.jpg": b"x"}, (), "entry '../cat/a.jpg' is a path outside the tar"),
        ({"cat/" + "a" * 250 + ".jpg": b"x"}, (), "which no file could have"),
    ],
)  # fmt: skip
def test_odd_entries_are_refused_by_name(
    make_tar: Callable[..., Path], members: Members, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UMTError, match=r"n01440764\.tar: ") as error:
        list(TarScan(make_tar(members), classes).images())
    assert message in str(error.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(make_tar: Callable[..., Path], kind: bytes) -> None:
    with pytest.raises(UMTError, match=r"entry 'a\.jpg' is a "):
        list(TarScan(make_tar({"a.jpg": b""}, kind=kind)).images())


def test_an_image_that_would_fill_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("cat/a.jpg")
    info.size = 64 << 30
    path = tmp_path / "cats.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, info.size + 10240)  # holes, which take no disk
    with pytest.raises(UMTError, match=r"'cat/a\.jpg' has 68,719,476,736 bytes, at most 268,435,456 are expected"):
        list(TarScan(path).images())


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_compressed_tar_has_no_offsets(make_tar: Callable[..., Path], mode: str) -> None:
    with pytest.raises(UMTError, match="is no plain tar that can be read"):
        list(TarScan(make_tar({"a.jpg": b"x"}, mode)).images())


@pytest.mark.parametrize("left", [0, 100, 700, 1100])
def test_a_tar_that_ends_early_is_refused(make_tar: Callable[..., Path], left: int) -> None:
    path = make_tar({"a.jpg": b"x" * 300, "b.jpg": b"y" * 300})
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(UMTError, match=r"n01440764\.tar: is no plain tar"):
        list(TarScan(path).images())


def test_names_that_desktops_leave_are_no_images(make_tar: Callable[..., Path]) -> None:
    path = make_tar({"._a.jpg": b"x", "__MACOSX/a.jpg": b"x", "a.jpg": b"yz", "readme.txt": b"read"})
    (image,) = TarScan(path).images()
    assert (image.category, image.name, image.size) == ("n01440764", "a.jpg", 2)
    assert path.read_bytes()[image.offset :][:2] == b"yz"


def test_a_name_in_the_way_of_a_class_is_its_first_label(make_tar: Callable[..., Path]) -> None:
    path = make_tar(
        {"x/a.b.jpg": b"no image of a sample", "x/a.png": b"yz", "x/a.json": b'{"cls": 7}', "x/a.cls": b"3"}
    )
    (image,) = TarScan(path).images()
    assert (image.category, image.name) == ("00003", "a.png")
