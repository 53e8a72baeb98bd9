"""Cached targets: those of the very view that the student sees, and never those of another recipe or image."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

import umt.distill.cache.cache as cache_module
from umt.distill.cache.cache import MANIFEST, CachedViews, open_cache, shard_bytes, shard_path
from umt.distill.distiller import as_floats
from umt.distill.images import VIEW_NUMBERS, Skipped, View, ViewImages
from umt.distill.ingredients import Prepared
from umt.distill.teachers.teacher import all_targets
from umt.errors import UMTError

Make = Callable[..., CachedViews]


def assert_as_asked(item: dict[str, object], prepared: Prepared) -> None:
    """The stored targets are what the teachers ask for on the pixels of the item, to the rounding of fp16."""
    asked = all_targets(prepared.teachers(), as_floats(item["images"][None]))  # type: ignore[index]
    for name, (summary, features) in item["targets"].items():  # type: ignore[attr-defined]
        for stored, expected in ((summary, asked[name].summary[0]), (features, asked[name].features[0])):
            assert stored.dtype == torch.float16
            # half a unit in the last place of fp16, and what a batch of another size does to float32
            torch.testing.assert_close(stored.float(), expected, rtol=2**-11 + 1e-4, atol=1e-4)


@pytest.mark.parametrize("pixels", [False, True])
def test_views_and_targets_are_those_of_an_uncached_run(
    pixels: bool, prepare: Callable[..., Prepared], cached: Make, online: Callable[[Prepared], ViewImages]
) -> None:
    prepared = prepare("views.jitter=0.3", "views.scale=[0.2,0.6]")
    views, plain = cached(prepared, pixels=pixels), online(prepared)
    assert len(views) == len(plain)
    for key in ((0, 0), (4, 1), (8, 1)):  # of the first, a middle and the last shard
        assert torch.equal(views[key]["images"], plain[key]["images"])
        assert_as_asked(views[key], prepared)
    assert torch.equal(views[4, 3]["images"], views[4, 1]["images"])  # two views are stored
    assert views[4, 1]["targets"]["lite2"][1].shape == (64, *prepared.grids()[0])


def test_targets_of_a_mirror_image_are_the_teachers_own_and_no_mirrored_map(
    prepare: Callable[..., Prepared], cached: Make
) -> None:
    plain, mirrored = prepare("views.hflip=0.0"), prepare("views.hflip=1.0")
    left, right = cached(plain, "plain")[3, 0], cached(mirrored, "mirrored")[3, 0]
    assert torch.equal(left["images"], right["images"].flip(2))
    assert_as_asked(right, mirrored)
    difference = left["targets"]["lite2"][1].flip(2).float() - right["targets"]["lite2"][1].float()
    assert difference.abs().max() > 0.01


def test_workers_read_what_one_process_reads(prepare: Callable[..., Prepared], cached: Make) -> None:
    views = cached(prepare())
    views[0, 0]  # opens a shard, which must not travel
    keys = [(index, visit) for visit in range(2) for index in range(9)]
    loader = DataLoader(views, batch_size=3, sampler=keys, num_workers=2)
    batches = list(loader)
    again = pickle.loads(pickle.dumps(views))
    for place, key in enumerate(keys):
        batch, row = batches[place // 3], place % 3
        assert torch.equal(batch["images"][row], again[key]["images"])
        for name, targets in again[key]["targets"].items():
            assert all(torch.equal(ours[row], one) for ours, one in zip(batch["targets"][name], targets, strict=True))


def test_a_recipe_with_fewer_teachers_reads_theirs(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared = prepare()
    both = cached(prepared)
    one = replace(prepared, recipe=replace(prepared.recipe, teachers=prepared.recipe.teachers[1:]))
    views = open_cache(tmp_path / "cache", one, Skipped(tmp_path / "skipped.txt", 9))
    assert [shape.name for shape in views.shapes] == ["lite2"]
    assert views[2, 0]["targets"].keys() == {"lite2"}
    assert torch.equal(views[2, 0]["targets"]["lite2"][0], both[2, 0]["targets"]["lite2"][0])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("views.scale=[0.5,1.0]", r"views\.scale: \[0.4, 1.0\], now \[0.5, 1.0\]"),
        ("teachers.lite2.objective=mae", r"teachers\.lite2\.kind: dino, now mae"),
        ("teachers.lite2.feature_loss=pooled_cosine", r"teachers\.lite2\.pooled: False, now True"),
        ("teachers.lite2.size=96", r"teachers\.lite2\.size: 64, now 96"),
        ("teachers.lite0.backbone=timm:test_convnext?pretrained=false&mean=0.4", r"teachers\.lite0\.preprocess\.mean"),
        ("teachers.lite0.backbone=timm:test_resnet?pretrained=false", r"teachers\.lite0\.weights"),
        ("teachers.lite0.name=other", r"teachers\.other: None, now"),
        ("training.precision=bf16", r"precision: fp32, now bf16"),
    ],
)
def test_a_cache_of_another_recipe_is_refused_with_the_fields(
    change: str, field: str, prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    cached(prepare())
    with pytest.raises(UMTError, match=field) as error:
        open_cache(tmp_path / "cache", prepare(change), Skipped(tmp_path / "skipped.txt", 9))
    assert "make another cache" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cache_of_other_images_is_refused(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    cached(prepare())
    (tmp_path / "pictures" / "3.jpg").rename(tmp_path / "pictures" / "renamed.jpg")
    with pytest.raises(UMTError, match=r"images\.fingerprint"):
        open_cache(tmp_path / "cache", prepare(), Skipped(tmp_path / "skipped.txt", 9))


def test_another_seed_of_the_student_reads_the_same_cache(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    views = cached(prepare())
    other = open_cache(tmp_path / "cache", prepare("seed=5"), Skipped(tmp_path / "skipped.txt", 9))
    assert torch.equal(views[1, 1]["images"], other[1, 1]["images"])


def test_damage_is_named_with_its_remedy(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    prepared, folder, skipped = prepare(), tmp_path / "cache", Skipped(tmp_path / "skipped.txt", 9)
    cached(prepared)
    path, other = shard_path(folder, 1), shard_path(folder, 2)
    whole = path.read_bytes()
    for damaged in (whole[:-7], whole[:4], b"\xff" * 100, other.read_bytes()[:-7]):
        path.write_bytes(damaged)
        with pytest.raises(UMTError, match=r"shard-00001.safetensors: cannot be read .*; remove it .* `umt teachers"):
            open_cache(folder, prepared, skipped)[4, 1]
    path.unlink()
    with pytest.raises(UMTError, match=r"1 of 4 shards are missing, first shard-00001.safetensors; run the same"):
        open_cache(folder, prepared, skipped)
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(UMTError, match=r"manifest.json: damaged .*; remove"):
        open_cache(folder, prepared, skipped)
    with pytest.raises(UMTError, match="no cache there; make one with"):
        open_cache(tmp_path / "nowhere", prepared, skipped)


@pytest.mark.parametrize(
    "change",
    [
        {"visits": 10**15},
        {"visits": 2**20, "shard": 1},
        {"shard": 10**15},
        {"shard": 0},
        {"images": {"count": 10**15}},
        {"images": {"count": -1}},
        {"images": {"count": "9"}},
        {"images": {}},
        {"images": None},
    ],
)
def test_sizes_that_no_cache_has_are_refused_at_once(
    change: dict[str, Any], prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared = prepare()
    cached(prepared)
    path = tmp_path / "cache" / MANIFEST
    record = json.loads(path.read_text())
    for name, value in change.items():
        (record["key"] if name == "images" else record)[name] = value
    path.write_text(json.dumps(record))
    with pytest.raises(UMTError, match=r"manifest\.json: damaged .*(visits|shard|key\.images\.count)"):
        open_cache(tmp_path / "cache", prepared, Skipped(tmp_path / "skipped.txt", 9))


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_shard_that_is_no_plain_file_is_not_opened(
    kind: str, prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    views = cached(prepare())
    path = shard_path(tmp_path / "cache", 0)
    path.rename(tmp_path / "target")
    path.symlink_to(tmp_path / "target") if kind == "link" else os.mkfifo(path)
    with pytest.raises(UMTError, match=r"shard-00000.safetensors: cannot be read .*is a (link|pipe)"):
        unopened(views)[0, 0]


def unopened(views: CachedViews) -> CachedViews:
    """The same cache, with no shard open."""
    return pickle.loads(pickle.dumps(views))


def test_a_shard_without_a_tensor_is_named(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    views = cached(prepare())
    mark = views.manifest.mark
    shard_path(tmp_path / "cache", 0).write_bytes(shard_bytes({"view": torch.zeros(1, VIEW_NUMBERS)}, mark))
    with pytest.raises(UMTError, match=r"shard-00000.safetensors: has no row 0 of 'shown'"):
        unopened(views)[0, 0]


@pytest.mark.parametrize("tensor", ["view", "shown", "pixels", "lite2.summary", "lite2.features"])
def test_one_bit_of_a_value_is_named_with_its_row(
    tensor: str, prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    """The file stays readable, and no other row is refused; a damaged view is not taken for a damaged image."""
    prepared, skipped = prepare(), Skipped(tmp_path / "skipped.txt", 9)
    cached(prepared, pixels=tensor == "pixels")
    path = shard_path(tmp_path / "cache", 0)
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    start, end = json.loads(content[8 : 8 + length])[tensor]["data_offsets"]
    content[8 + length + start + (end - start) // 5 * 2] ^= 1  # the first byte of the third of five rows
    path.write_bytes(content)
    views = open_cache(tmp_path / "cache", prepared, skipped)
    views[0, 0], views[0, 1], views[1, 1]
    with pytest.raises(UMTError, match=rf"shard-00000.safetensors: row 2 of '{tensor}' is damaged.*`umt teachers"):
        views[1, 0]
    path.unlink()
    assert_as_asked(cached(prepared, pixels=tensor == "pixels")[1, 0], prepared)


def test_checksums_are_compared_once_a_process(
    prepare: Callable[..., Prepared], cached: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, rows = cached(prepare()), []
    plain = cache_module._row_checksum
    monkeypatch.setattr(cache_module, "_row_checksum", lambda row: rows.append(row) or plain(row))
    first = views[0, 0]
    assert len(rows) == 6, "numbers, image, and two targets of each teacher"
    again = views[0, 0]
    assert len(rows) == 6
    assert all(map(torch.equal, first["targets"]["lite2"], again["targets"]["lite2"]))
    unopened(views)[0, 0]
    assert len(rows) == 12, "another process knows nothing of it"


def test_a_shard_of_another_cache_is_not_taken_for_its_own(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared = prepare()
    cached(prepared)
    cached(prepare("views.hflip=0.0"), "other")
    shard_path(tmp_path / "cache", 0).write_bytes(shard_path(tmp_path / "other", 0).read_bytes())
    with pytest.raises(UMTError, match="it belongs to another cache"):
        open_cache(tmp_path / "cache", prepared, Skipped(tmp_path / "skipped.txt", 9))[0, 0]


def test_targets_of_a_damaged_image_are_those_of_its_stand_in(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    (tmp_path / "pictures" / "8.jpg").write_bytes(b"no image")
    prepared = prepare()
    views = cached(prepared)
    assert torch.equal(views[8, 0]["images"], views[0, 0]["images"])  # the last one's next is the first
    assert_as_asked(views[8, 0], prepared)
    assert len((tmp_path / "skipped.txt").read_text().splitlines()) == 1


def test_an_image_that_is_damaged_later_takes_its_targets_with_it(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared = prepare()
    views = cached(prepared)
    (tmp_path / "pictures" / "2.jpg").write_bytes(b"no image")
    assert torch.equal(views[2, 1]["images"], views[3, 1]["images"])
    assert torch.equal(views[2, 1]["targets"]["lite0"][0], views[3, 1]["targets"]["lite0"][0])
    assert "2.jpg" in (tmp_path / "skipped.txt").read_text()


def test_stored_numbers_name_the_view(
    prepare: Callable[..., Prepared], cached: Make, online: Callable[[Prepared], ViewImages]
) -> None:
    prepared = prepare("views.jitter=0.2")
    shard, (_, view, shown) = cached(prepared)._shard(0), online(prepared).draw(1, 1)
    assert View(*shard.row("view", 3).tolist()) == view
    assert int(shard.row("shown", 3)) == shown == 1
