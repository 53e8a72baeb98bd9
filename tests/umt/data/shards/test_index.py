"""The index is made once, of the tars as they are; a damaged one is made again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from umt.data.shards import index as module
from umt.data.shards.index import ShardIndex, TarFile, load_index
from umt.data.shards.members import PackedImage
from umt.errors import UMTError

Pack = Callable[[str], Path]


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The tars that are looked through."""
    paths = []

    class Counted(module.TarScan):
        def images(self) -> Iterator[PackedImage]:
            paths.append(self.path)
            return super().images()

    monkeypatch.setattr(module, "TarScan", Counted)
    return paths


def load(folder: Path) -> ShardIndex:
    return load_index(folder, list(map(TarFile.of, sorted(folder.glob("*.tar")))))


def content(index: ShardIndex) -> dict[str, dict[str, bytes | None]]:
    return {
        category: {name: index.read(category, name) for name in index.names(category)} for category in index.categories
    }


def test_an_index_is_made_once_and_again_when_a_tar_changes(packed: Pack, scans: list[Path]) -> None:
    train = packed("classes") / "train"
    first = content(load(train))
    assert len(scans) == 3
    assert content(load(train)) == first
    assert len(scans) == 3
    os.utime(train / "n01440764.tar", ns=(1, 1))
    assert content(load(train)) == first
    assert len(scans) == 6
    (train / "n01440764.tar").unlink()
    assert content(load(train)) == {name: images for name, images in first.items() if name != "n01440764"}


def test_another_list_of_classes_is_another_index(packed: Pack) -> None:
    root = packed("cls")
    assert load(root / "train").categories[0] == "n01440764"
    (root / "classes.txt").write_text("tench\ngoldfish\nretriever\n")
    assert load(root / "train").categories == ["goldfish", "retriever", "tench"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign", "folder"])
def test_a_damaged_index_is_made_again(packed: Pack, own_cache: Path, scans: list[Path], damage: str) -> None:
    train = packed("classes") / "train"
    first = content(load(train))
    (path,) = own_cache.rglob("*.index")
    data = path.read_bytes()
    damaged = {"flipped": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "cut": data[:-7], "foreign": b"[1]\n" + data}
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(damaged.get(damage, b""))
    assert content(load(train)) == first
    assert len(scans) == 6


def test_no_cache_folder_is_no_error(packed: Pack, own_cache: Path) -> None:
    own_cache.write_text("in the way")
    assert load(packed("classes") / "train").categories[0] == "n01440764"


def test_an_image_that_is_in_two_tars_is_refused(packed: Pack) -> None:
    train = packed("folders") / "train"
    shutil.copy(train / "000000.tar", train / "000002.tar")
    with pytest.raises(UMTError, match=r"'n0\d+/n0\d+_train\d\.JPEG' is in its tars twice"):
        load(train)


def test_classes_whose_names_begin_alike_are_kept_apart(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    import tarfile

    for name in ("cat", "cat-big", "cat0", "cat!"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            tar.add(make_image(tmp_path / "images" / f"{name}.png"), f"{name}.png")
    index = load(tmp_path)
    assert index.categories == ["cat", "cat!", "cat-big", "cat0"]
    assert [index.names(name) for name in index.categories] == [
        ["cat.png"],
        ["cat!.png"],
        ["cat-big.png"],
        ["cat0.png"],
    ]
    assert index.read("cat", "cat0.png") is None
    assert index.size("dog", "dog.png") is None
