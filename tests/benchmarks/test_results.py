"""The result store: what was written is read back, half a file is never seen, damage is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.perf.hostile_store import HOSTILE
from benchmarks.results import CHECKSUM, Result, ResultStore, read_result
from umt.errors import UMTError

Make = Callable[..., Result]


def test_round_trip(tmp_path: Path, make_result: Make) -> None:
    result = make_result({"top1": 80.123456789012345})
    store = ResultStore(tmp_path)
    store.write(result)
    assert store.read(result.key) == result
    assert list(store) == [result]


def test_raw_values_lie_beside_the_result(tmp_path: Path, make_result: Make) -> None:
    path = ResultStore(tmp_path).write(make_result(), {"rmse": np.arange(4.0)})
    stored = read_result(path)
    assert stored.raw is not None
    np.testing.assert_array_equal(np.load(path.with_name(stored.raw))["rmse"], np.arange(4.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 1), ("weights_hash", "cd" * 32), ("protocol_hash", "ba9876543210"), ("data_fingerprint", "0" * 16)],
)
def test_any_part_of_the_key_makes_another_file(tmp_path: Path, make_result: Make, field: str, value: object) -> None:
    store, result = ResultStore(tmp_path), make_result()
    store.write(result)
    other = replace(result.key, **{field: value})
    assert not store.has(other)
    assert store.path(other) != store.path(result.key)


def test_label_cannot_leave_the_store(tmp_path: Path, make_result: Make) -> None:
    path = ResultStore(tmp_path / "store").write(make_result(backbone="../../evil <b>"))
    assert (tmp_path / "store") in path.resolve().parents


ODD_LABELS = ["@@", "..", ".", "~", "…", "/", "a/../../b", "x" * 300, "😀", "é" * 150, ".git", "\x1b[2J", "-"]


@pytest.mark.parametrize("label", ODD_LABELS)
def test_a_result_of_any_label_lies_below_the_store_and_is_found(tmp_path: Path, make_result: Make, label: str) -> None:
    store, result = ResultStore(tmp_path / "store"), make_result(backbone=label)
    path = store.write(result, {"x": np.arange(2.0)}, {label: np.zeros((2, 2, 3), np.uint8)})
    assert path.resolve().parent.parent == (tmp_path / "store").resolve()
    assert [found.name for found in tmp_path.iterdir()] == ["store"]
    assert len(list(path.parent.iterdir())) == 3
    assert (store.has(result.key), store.paths(), list(store)) == (True, [path], [store.read(result.key)])


def test_ordinary_labels_have_the_paths_that_they_had(make_result: Make) -> None:
    """A store of before is found again."""
    stems = {
        "resnet50": "resnet50/knn--cub--paper--seed0--f9d5a5d33acf",
        "ViT-B/16 (mine), lite0 head": "ViT-B_16_mine_lite0_head/knn--cub--paper--seed0--",
        "ckpt.pth#dino": "ckpt.pth_dino/knn--cub--paper--seed0--",
    }
    for label, stem in stems.items():
        assert make_result(backbone=label).key.stem.startswith(stem)


def test_a_folder_that_leads_out_of_the_store_is_refused_before_the_job(tmp_path: Path, make_result: Make) -> None:
    store, result = ResultStore(tmp_path / "store"), make_result()
    (tmp_path / "outside").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "resnet50").symlink_to(tmp_path / "outside")
    for use in (lambda: store.has(result.key), lambda: store.write(result)):
        with pytest.raises(UMTError, match="resnet50: lies outside"):
            use()
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_in_place_of_a_result_is_none_and_is_replaced(tmp_path: Path, make_result: Make) -> None:
    store, result = ResultStore(tmp_path / "store"), make_result()
    path = store.write(result)
    path.rename(tmp_path / "target")
    path.symlink_to(tmp_path / "target")
    before = (tmp_path / "target").read_bytes()
    assert not store.has(result.key)
    store.write(result)
    assert store.has(result.key)
    assert not path.is_symlink()
    assert (tmp_path / "target").read_bytes() == before


def test_whole_numbers_may_stand_for_floats(tmp_path: Path, make_result: Make) -> None:
    """As other programs write them."""
    result = make_result({"top1": 80.0})
    path = ResultStore(tmp_path).write(result)
    path.write_text(without_checksum(path.read_text()).replace("80.0", "80"))
    read = read_result(path)
    assert read == result
    assert isinstance(read.metrics["top1"], float)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line_that_names_it(tmp_path: Path, make_result: Make, kind: str) -> None:
    path = tmp_path / "mine" / "x.json"
    path.parent.mkdir()
    HOSTILE[kind](path, asdict(make_result({"accuracy": 80.0})))
    assert ResultStore(tmp_path).paths() == [path]
    with pytest.raises(UMTError, match=r"[^;]+; (delete it and run the job again|put the|update umt-bench)") as caught:
        read_result(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 600


def test_failed_write_leaves_nothing(tmp_path: Path, make_result: Make) -> None:
    store = ResultStore(tmp_path)
    with pytest.raises(ValueError, match="JSON compliant"):
        store.write(make_result({"top1": float("nan")}))
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "not a result file"),
        (lambda text: text.replace('"schema": 2', '"schema": 1'), "schema 1, this version reads 2; run its job again"),
        (lambda text: text.replace('"schema": 2', '"schema": 99'), "schema 99, this version reads 2; update umt-bench"),
        (lambda text: text.replace('"wall_seconds"', '"wall_hours"'), "its content does not match its checksum"),
        (lambda text: without_checksum(text).replace('"wall_seconds"', '"wall_hours"'), "unknown field 'wall_hours'"),
        (lambda text: text.replace("80.5", "81.5"), "not match its checksum; delete it and run the job again"),
        (lambda text: "[]", "not a result file"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, make_result: Make, damage: Callable[[str], str], message: str) -> None:
    path = ResultStore(tmp_path).write(make_result())
    path.write_text(damage(path.read_text()))
    with pytest.raises(UMTError, match=message) as caught:
        read_result(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda text: text[:-20], lambda text: text.replace("80.5", "81.5")])
def test_a_damaged_result_is_none(tmp_path: Path, make_result: Make, damage: Callable[[str], str]) -> None:
    store, result = ResultStore(tmp_path), make_result()
    path = store.write(result)
    path.write_text(damage(path.read_text()))
    assert not store.has(result.key)
    store.write(result)
    assert store.has(result.key)


def test_a_result_of_a_later_version_is_not_written_over(tmp_path: Path, make_result: Make) -> None:
    store, result = ResultStore(tmp_path), make_result()
    path = store.write(result)
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 99'))
    with pytest.raises(UMTError, match="update umt-bench"):
        store.has(result.key)


def test_a_file_of_before_there_were_checksums_is_read(tmp_path: Path, make_result: Make) -> None:
    result = make_result()
    path = ResultStore(tmp_path).write(result)
    path.write_text(without_checksum(path.read_text()))
    assert read_result(path) == result


def without_checksum(text: str) -> str:
    record = json.loads(text)
    del record[CHECKSUM]
    return json.dumps(record, indent=1)


def test_file_is_plain_json(tmp_path: Path, make_result: Make) -> None:
    record = json.loads(ResultStore(tmp_path).write(make_result()).read_text())
    assert record["schema"] == 2
    assert record["key"]["dataset"] == "cub"


def test_pictures_lie_beside_the_result(tmp_path: Path, make_result: Callable[..., Result]) -> None:
    store = ResultStore(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    path = store.write(make_result(), pictures={"ADE val/1": pixels})
    [name] = store.read(make_result().key).pictures
    assert path.with_name(name).parent == path.parent
    assert name.endswith("--ADE_val_1.png")
    np.testing.assert_array_equal(np.asarray(Image.open(path.with_name(name))), pixels)
    assert [result.key for result in store] == [make_result().key]
