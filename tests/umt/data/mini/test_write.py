"""The embedded data as it lies on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from umt.data.checks.items import validate
from umt.data.contract import MARKER
from umt.data.mini import mini_versions, write_mini, write_set
from umt.data.mini.crops import Cutter
from umt.data.mini.photos import NAMES
from umt.data.mini.rendered.rooms import render_room
from umt.data.registry import find_dataset
from umt.data.sets import cub
from umt.errors import UMTError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_size: dict[str, Any]) -> Path:
    out = tmp_path_factory.mktemp("mini")
    write_mini(out, tiny_size)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", mini_versions())
def test_the_official_loaders_read_it(written: Path, name: str) -> None:
    dataset = find_dataset(name, written)
    validate(dataset)
    assert dataset.title == mini_versions()[name].title
    assert not dataset.official


def test_splits_have_the_sizes_that_were_asked_for(written: Path) -> None:
    sizes = {name: find_dataset(name, written).sizes for name, version in mini_versions().items() if version.example}
    photos = len(NAMES)
    assert sizes == {
        "imagenet": {"train": 30, "val": 30},
        "aircraft": {"train": photos, "val": photos, "test": photos},
        "caltech101": {"train": 30 * photos, "test": photos},
        "cub": {"train": (photos + 1) // 2, "test": (photos + 1) // 2},
        "ade20k": {"training": 2, "validation": 1},
        "nyuv2": {"train": 2, "test": 2},
    }


def test_two_writes_give_equal_bytes(written: Path, tmp_path: Path, tiny_size: dict[str, Any]) -> None:
    write_mini(tmp_path, tiny_size)
    assert contents(tmp_path) == contents(written)


def test_what_is_complete_is_left_alone_and_the_rest_replaced(tmp_path: Path, tiny_size: dict[str, Any]) -> None:
    marker = write_set("cub", tmp_path, tiny_size) / MARKER
    written = marker.stat().st_mtime_ns
    write_set("cub", tmp_path, tiny_size)
    assert marker.stat().st_mtime_ns == written
    write_set("cub", tmp_path, {"cub": (2, 1)})
    assert find_dataset("cub", tmp_path).sizes == {"train": 20, "test": 10}


def test_an_interrupted_write_leaves_nothing_that_looks_complete(
    tmp_path: Path, tiny_size: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, counts: object) -> None:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cub, "INFO", replace(cub.INFO, mini=replace(cub.INFO.mini, write=fail)))
        write_set("cub", tmp_path, tiny_size)
    with pytest.raises(UMTError, match="CUB-200-2011 is not there"):
        find_dataset("cub", tmp_path)
    assert "half.txt" not in contents(write_set("cub", tmp_path, tiny_size))


@pytest.mark.parametrize("marker", [None, '{"title": "my own birds"}'])
def test_other_data_is_never_overwritten(tmp_path: Path, marker: str | None) -> None:
    own = tmp_path / "CUB_200_2011"
    own.mkdir()
    if marker:
        (own / MARKER).write_text(marker)
    with pytest.raises(UMTError, match="CUB_200_2011: holds other data, which is not overwritten"):
        write_set("cub", tmp_path)
    assert own.is_dir()


def test_a_data_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UMTError, match=r"cannot be written .*; choose another data root"):
        write_set("imagenet", tmp_path / "file")


def test_rooms_are_written_as_they_were_rendered(written: Path) -> None:
    depth = np.asarray(Image.open(written / "nyu" / "annotations" / "train" / "room_0000.png"))
    assert depth.shape == (480, 640)
    np.testing.assert_allclose(depth / 1000, render_room(20_000, 640, 480).depth, atol=0.5001e-3)
    labels = np.asarray(Image.open(written / "ADEChallengeData2016" / "annotations" / "validation" / "room_0000.png"))
    assert np.array_equal(labels, render_room(10_000, 160, 120).labels)


def test_crops_of_two_splits_share_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture whose red is its column shows where each crop was cut."""
    columns = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (60, 200, 3))
    monkeypatch.setattr("umt.data.mini.crops.photo", lambda name: columns)
    cutter = Cutter(side=30, saved=30, seed=0)
    seen = {
        share: {int(value) for crop in cutter.cut("brick", share, 50) for value in np.unique(np.asarray(crop))}
        for share in ((0.0, 0.35), (0.35, 0.5), (0.5, 1.0))
    }
    assert max(seen[0.0, 0.35]) < 70 <= min(seen[0.35, 0.5]) <= max(seen[0.35, 0.5]) < 100 <= min(seen[0.5, 1.0])


@pytest.mark.parametrize("name", [".partial-CUB_200_2011", "CUB_200_2011"])
def test_nothing_is_written_through_a_link(tmp_path: Path, tiny_size: dict[str, Any], name: str) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    out.mkdir()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(
        UMTError, match=r"CUB_200_2011: (cannot be written|holds other data).*; choose another data root"
    ):
        write_set("cub", out, tiny_size)
    assert not [*elsewhere.iterdir()]
