"""Image files found and fingerprinted."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from umt.data.image_list import ImageList, find_images
from umt.errors import UMTError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty files of images in two sub-folders, which are not read, and a text that is none."""
    root = tmp_path / "photos"
    for index in range(20):
        path = root / f"part{index % 2}" / f"{index:02}.{'jpg' if index % 3 else 'PNG'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * index)
    (root / "notes.txt").write_text("no image")
    return root


def test_all_images_below_a_folder_in_order(folder: Path) -> None:
    images = find_images(folder)
    assert len(images) == 20
    assert images.path(0) == folder / "part0" / "00.PNG"
    assert [images.path(index) for index in range(20)] == sorted(images.path(index) for index in range(20))


def test_the_fingerprint_follows_names_and_sizes(folder: Path) -> None:
    before = find_images(folder).fingerprint
    assert find_images(folder).fingerprint == before
    (folder / "part0" / "00.PNG").rename(folder / "part0" / "zz.PNG")
    renamed = find_images(folder).fingerprint
    with (folder / "part0" / "zz.PNG").open("ab") as handle:
        handle.write(b"x")
    assert len({before, renamed, find_images(folder).fingerprint}) == 3


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="no such folder"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(UMTError, match="no images below it"):
        find_images(tmp_path)


def test_special_files_are_no_images(folder: Path) -> None:
    """A link to a file is one, and so is a link to nothing, which is named when it is read."""
    before = [find_images(folder).path(index) for index in range(20)]
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "link-to-pipe.jpg").symlink_to(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.jpg"))
    assert [find_images(folder).path(index) for index in range(len(find_images(folder)))] == before
    (folder / "link.jpg").symlink_to(folder / "part0" / "00.PNG")
    (folder / "nowhere.jpg").symlink_to(folder / "nowhere")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    assert len(find_images(folder)) == 23


def test_a_folder_that_several_lead_to_is_entered_once(folder: Path) -> None:
    before = find_images(folder)
    (folder / "part0" / "up").symlink_to(folder)
    (folder / "part2").symlink_to(folder / "part1")
    assert find_images(folder).fingerprint == before.fingerprint
    (folder / "part-1").symlink_to(folder / "part1")  # the first in order is the one entered
    assert find_images(folder).path(0).parent == folder / "part-1"


def test_the_digest_is_that_of_paths_taken_one_by_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, files that are not there, folders, and names of any bytes; stored entries keep their keys."""
    (folder / "link.jpg").symlink_to(folder / "part0" / "00.PNG")
    (folder / "nowhere.jpg").symlink_to(folder / "gone")
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"12345")
    (folder / "folder.jpg").mkdir()
    paths = [*folder.rglob("*"), folder / "part1" / "never.jpg"]
    lines = [
        os.fsencode(path.relative_to(folder)) + f":{path.stat().st_size if path.is_file() else -1}\n".encode()
        for path in paths
    ]
    expected = hashlib.sha256(b"".join(lines)).hexdigest()
    assert ImageList.of_paths(paths, "").digest == expected
    assert ImageList.of_paths(paths, "").root == folder
    monkeypatch.chdir(folder.parent)
    assert ImageList.of_paths([path.relative_to(folder.parent) for path in paths], "").digest == expected
    monkeypatch.chdir(folder)
    assert ImageList.of(Path(), [str(path.relative_to(folder)) for path in paths], "").digest == expected


def test_the_root_of_images_in_one_folder_is_that_folder(folder: Path) -> None:
    images = ImageList.of_paths([folder / "part0" / "00.PNG"], "one")
    assert (images.root, images.names.tolist()) == (folder / "part0", [b"00.PNG"])
