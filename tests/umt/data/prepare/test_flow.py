"""Every set from archives in the official structure, and what happens where they are not as they should be."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.progress import Progress

from umt.data.checks.record import FOLDER, read_record
from umt.data.prepare import extract, flow, prepare
from umt.data.registry import BUILT_IN, dataset_info, find_dataset
from umt.errors import UMTError

CUB = {
    "classes.txt": b"1 001.Auk\n",
    "images.txt": b"1 001.Auk/a.jpg\n2 001.Auk/b.jpg\n",
    "image_class_labels.txt": b"1 1\n2 1\n",
    "train_test_split.txt": b"1 1\n2 0\n",
}
AIRCRAFT = {
    "variants.txt": b"707-320\n",
    "images_variant_train.txt": b"1 707-320\n",
    "images_variant_val.txt": b"2 707-320\n",
    "images_variant_test.txt": b"3 707-320\n",
}


@pytest.fixture
def cub_tgz(tmp_path: Path, make_tar: Callable[..., Path], picture: bytes) -> Path:
    images = {f"CUB_200_2011/images/001.Auk/{name}.jpg": picture for name in "ab"}
    lists = {f"CUB_200_2011/{name}": text for name, text in CUB.items()}
    folder = tmp_path / "downloads"
    folder.mkdir()
    return make_tar(
        folder / "CUB_200_2011.tgz", {"attributes.txt": b"beside the folder, as in the official one"} | lists | images
    )


def nothing_left(root: Path) -> bool:
    return [path.name for path in root.iterdir()] == [FOLDER] and not [*root.rglob(".partial*")]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_file_that_a_set_is_made_of_has_a_source(name: str) -> None:
    parts = dataset_info(name).parts
    assert parts
    for archive in (archive for part in parts for archive in part.archives):
        assert archive.url or archive.get
        assert len(archive.md5) == 32 or not archive.url
        assert archive.files or archive.name.endswith(".mat")


def test_cub(tmp_path: Path, cub_tgz: Path, progress: Progress) -> None:
    root = tmp_path / "data"
    (outcome,) = prepare("cub", root, cub_tgz, progress)
    assert outcome.sizes == {"train": 1, "test": 1} == find_dataset("cub", root).sizes
    assert outcome.origin == ("CUB_200_2011.tgz",)
    assert read_record(root, "cub").prepared == {"CUB_200_2011": ["CUB_200_2011.tgz"]}
    assert sorted(path.name for path in root.iterdir()) == [FOLDER, "CUB_200_2011"]


def test_again_is_nothing(tmp_path: Path, cub_tgz: Path, progress: Progress) -> None:
    root = tmp_path / "data"
    prepare("cub", root, cub_tgz, progress)
    before = (root / "CUB_200_2011" / "images.txt").stat().st_mtime_ns
    cub_tgz.unlink()
    (outcome,) = prepare("cub", root, None, progress)  # would download if it were not there
    assert outcome.origin == ()
    assert (root / "CUB_200_2011" / "images.txt").stat().st_mtime_ns == before


@pytest.mark.parametrize("way", ["folder of archives", "other name", "extracted", "above extracted"])
def test_ways_to_say_where_it_is(tmp_path: Path, cub_tgz: Path, progress: Progress, way: str) -> None:
    prepare("cub", tmp_path / "first", cub_tgz, progress)
    origin = {
        "folder of archives": cub_tgz.parent,
        "other name": cub_tgz.rename(tmp_path / "birds.tgz") if way == "other name" else cub_tgz,
        "extracted": tmp_path / "first" / "CUB_200_2011",
        "above extracted": tmp_path / "first",
    }[way]
    prepare("cub", tmp_path / "second", origin, progress)
    first, second = (find_dataset("cub", tmp_path / root) for root in ("first", "second"))
    assert first.fingerprint == second.fingerprint


@pytest.fixture
def layout(tmp_path: Path, cub_tgz: Path, progress: Progress) -> Path:
    """A folder in the official layout, below one that holds it."""
    prepare("cub", tmp_path / "first", cub_tgz, progress)
    return tmp_path / "first" / "CUB_200_2011"


def put(path: Path, kind: str, secret: Path) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to({"link": secret, "broken link": secret / "nowhere", "link to a folder": secret.parent}[kind])


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "broken link", "link to a folder"])
@pytest.mark.parametrize("name", ["images/001.Auk/a.jpg", "notes", "images.txt"])
def test_a_folder_with_links_or_special_files_is_not_copied(
    tmp_path: Path, layout: Path, progress: Progress, name: str, kind: str
) -> None:
    secret = tmp_path / "home" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(b"secret")
    put(layout / name, kind, secret)
    reason = "is a pipe, not a plain file" if kind == "pipe" else "is a link, which is not followed here; put the file"
    with pytest.raises(UMTError, match=rf"{name}: {reason}.*; --from takes plain files"):
        prepare("cub", tmp_path / "data", layout, progress)
    assert nothing_left(tmp_path / "data")


def test_a_folder_may_be_named_by_a_link_but_not_hold_one(tmp_path: Path, layout: Path, progress: Progress) -> None:
    (tmp_path / "CUB_200_2011").symlink_to(layout)
    (outcome,) = prepare("cub", tmp_path / "second", tmp_path / "CUB_200_2011", progress)
    assert outcome.sizes == {"train": 1, "test": 1}
    with pytest.raises(UMTError, match=r"CUB_200_2011: is a link, .*; give --from the folder that it leads to"):
        prepare("cub", tmp_path / "third", tmp_path, progress)
    assert nothing_left(tmp_path / "third")


def test_folders_without_end_are_not_copied(tmp_path: Path, layout: Path, progress: Progress) -> None:
    layout.joinpath(*["d"] * 40).mkdir(parents=True)
    with pytest.raises(UMTError, match="is more than 32 folders deep; --from takes the official layout"):
        prepare("cub", tmp_path / "data", layout, progress)
    assert nothing_left(tmp_path / "data")


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "link to a folder"])
def test_an_archive_found_in_a_folder_is_a_plain_file(
    tmp_path: Path, cub_tgz: Path, progress: Progress, kind: str
) -> None:
    """Named by itself it may be a link, but not a pipe or a device."""
    archive = cub_tgz.rename(tmp_path / "birds.tgz")
    put(cub_tgz, kind, archive)
    with pytest.raises(UMTError, match=r"CUB_200_2011\.tgz: is a (pipe|link), .*; --from takes plain files"):
        prepare("cub", tmp_path / "data", cub_tgz.parent, progress)
    assert nothing_left(tmp_path / "data")
    if kind == "link":
        assert prepare("cub", tmp_path / "data", cub_tgz, progress)[0].sizes == {"train": 1, "test": 1}
    elif kind != "link to a folder":
        with pytest.raises(UMTError, match=r"CUB_200_2011\.tgz: is a (pipe|device), not a plain file"):
            prepare("cub", tmp_path / "data", cub_tgz, progress)


def test_nothing_is_written_through_a_link_in_the_data_root(tmp_path: Path, cub_tgz: Path, progress: Progress) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".partial-CUB_200_2011").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UMTError, match=r"cub cannot be prepared \(.*File exists: .*partial-CUB.*\); mend that"):
        prepare("cub", tmp_path / "data", cub_tgz, progress)
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_an_archive_of_something_else_leaves_nothing(
    tmp_path: Path, make_tar: Callable[..., Path], progress: Progress
) -> None:
    archive = make_tar(tmp_path / "CUB_200_2011.tgz", {"birds/a.jpg": b""})
    with pytest.raises(UMTError, match=r"CUB_200_2011\.tgz: no folder CUB_200_2011 in it"):
        prepare("cub", tmp_path / "data", archive, progress)
    assert nothing_left(tmp_path / "data")


def test_an_incomplete_archive_leaves_nothing(
    tmp_path: Path, make_tar: Callable[..., Path], progress: Progress
) -> None:
    archive = make_tar(tmp_path / "x.tgz", {f"CUB_200_2011/{name}": text for name, text in CUB.items()})
    with pytest.raises(UMTError, match=r"x\.tgz: does not hold the whole set: images/001\.Auk: folder of"):
        prepare("cub", tmp_path / "data", archive, progress)
    assert nothing_left(tmp_path / "data")


def test_interrupted_and_repeated(
    tmp_path: Path, cub_tgz: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> dict[str, int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(flow, "count_items", interrupt)
        prepare("cub", tmp_path / "data", cub_tgz, progress)
    assert nothing_left(tmp_path / "data")
    (tmp_path / "data" / ".partial-CUB_200_2011" / "out").mkdir(parents=True)  # as after a kill
    assert prepare("cub", tmp_path / "data", cub_tgz, progress)[0].sizes == {"train": 1, "test": 1}


def test_a_place_without_the_set_says_what_is_wanted(tmp_path: Path, progress: Progress) -> None:
    with pytest.raises(UMTError, match=r"holds nothing that cub is made of; give CUB_200_2011\.tgz, a folder"):
        prepare("cub", tmp_path / "data", tmp_path, progress)
    with pytest.raises(UMTError, match=r"nowhere: no such file or folder; give CUB_200_2011\.tgz"):
        prepare("cub", tmp_path / "data", tmp_path / "nowhere", progress)
    with pytest.raises(UMTError, match=r"unknown data set 'cup'\. Did you mean cub"):
        prepare("cup", tmp_path / "data", tmp_path, progress)


def test_what_cannot_be_downloaded_says_how_to_get_it(tmp_path: Path, progress: Progress) -> None:
    with pytest.raises(UMTError, match=r"ILSVRC2012_img_train\.tar: cannot be downloaded by itself; register at"):
        prepare("imagenet", tmp_path, None, progress)


def test_a_broken_folder_in_the_place_is_left_and_named(tmp_path: Path, cub_tgz: Path, progress: Progress) -> None:
    (tmp_path / "CUB_200_2011").mkdir()
    (tmp_path / "CUB_200_2011" / "mine.txt").touch()
    with pytest.raises(UMTError, match=r"CUB_200_2011: exists and is not in order; move it away .*classes\.txt"):
        prepare("cub", tmp_path, cub_tgz, progress)
    assert [path.name for path in (tmp_path / "CUB_200_2011").iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, cub_tgz: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(extract, "write", full)
    with pytest.raises(UMTError, match=r"data: cub cannot be prepared \(.*No space left on device\); mend that"):
        prepare("cub", tmp_path / "data", cub_tgz, progress)
    assert nothing_left(tmp_path / "data")


def test_a_data_root_that_cannot_be_written_is_named(tmp_path: Path, cub_tgz: Path, progress: Progress) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UMTError, match=r"file/data: cub cannot be prepared \(.*\); mend that"):
        prepare("cub", tmp_path / "file" / "data", cub_tgz, progress)


def test_aircraft(tmp_path: Path, make_tar: Callable[..., Path], picture: bytes, progress: Progress) -> None:
    files = {f"data/{name}": text for name, text in AIRCRAFT.items()} | {
        f"data/images/{n}.jpg": picture for n in (1, 2, 3)
    }
    archive = make_tar(
        tmp_path / "fgvc-aircraft-2013b.tar.gz", {f"fgvc-aircraft-2013b/{name}": text for name, text in files.items()}
    )
    assert prepare("aircraft", tmp_path, archive, progress)[0].sizes == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize("official", ["caltech-101.zip", "101_ObjectCategories.tar.gz"])
def test_caltech101(
    tmp_path: Path,
    make_tar: Callable[..., Path],
    make_zip: Callable[..., Path],
    picture: bytes,
    progress: Progress,
    official: str,
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    files = {f"101_ObjectCategories/ant/image_{n:04d}.jpg": picture for n in range(32)}
    archive = make_tar(folder / "101_ObjectCategories.tar.gz", files)
    if official.endswith("zip"):
        inner = {"caltech-101/101_ObjectCategories.tar.gz": archive.read_bytes(), "caltech-101/Annotations.tar": b""}
        archive.unlink()
        archive = make_zip(folder / official, inner)
    (outcome,) = prepare("caltech101", tmp_path / "data", archive, progress)
    assert outcome.sizes == {"train": 30, "test": 2}
    assert outcome.folder == tmp_path / "data" / "caltech101" / "101_ObjectCategories"


def test_ade20k(tmp_path: Path, make_zip: Callable[..., Path], picture: bytes, progress: Progress) -> None:
    splits = {"training": "ADE_train_00000001", "validation": "ADE_val_00000001"}
    files = {f"images/{split}/{name}.jpg": picture for split, name in splits.items()}
    files |= {f"annotations/{split}/{name}.png": picture for split, name in splits.items()}
    archive = make_zip(
        tmp_path / "ADEChallengeData2016.zip", {f"ADEChallengeData2016/{k}": v for k, v in files.items()}
    )
    assert prepare("ade20k", tmp_path, archive, progress)[0].sizes == {"training": 1, "validation": 1}


def test_bytes_are_those_of_the_archive(tmp_path: Path, cub_tgz: Path, picture: bytes, progress: Progress) -> None:
    prepare("cub", tmp_path / "data", cub_tgz, progress)
    image = tmp_path / "data" / "CUB_200_2011" / "images" / "001.Auk" / "a.jpg"
    assert hashlib.sha256(image.read_bytes()).digest() == hashlib.sha256(picture).digest()
