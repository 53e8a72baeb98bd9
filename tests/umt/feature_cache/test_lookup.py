"""Hits, misses, damage, interruptions, and processes that ask at once."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from umt.backbones import Backbone, create_backbone
from umt.data.contract import Sample
from umt.errors import UMTError
from umt.feature_cache import disk_cache
from umt.feature_cache.entry import CacheEntry
from umt.feature_cache.key import images_fingerprint
from umt.feature_cache.lookup import cached_features
from umt.features import Extraction, each_features

CPU = torch.device("cpu")
Asker = Any  # of conftest.py


def test_a_hit_equals_a_miss_and_no_cache_to_the_last_bit(ask: Asker) -> None:
    batches: list[torch.Tensor] = []
    each_features(ask.backbone, ask.samples, Extraction(32), ["pooled"], CPU, 4, lambda *_: None, batches.extend)
    without = torch.cat(batches)
    missed = ask()
    assert ask.computed
    hit = ask()
    assert not ask.computed
    assert torch.equal(missed, without)
    assert torch.equal(hit, without)
    assert hit.dtype == torch.float32


def test_what_is_done_to_features_does_not_reach_the_file(ask: Asker) -> None:
    before = ask().clone()
    ask().zero_()
    assert torch.equal(ask(), before)


CHANGES: dict[str, Callable[[Any], Extraction]] = {
    "weights": lambda ask: _changed_weights(ask.backbone),
    "normalisation": lambda ask: ask.backbone.use_preprocess(replace(ask.backbone.preprocess, mean=(0.1, 0.1, 0.1))),
    "interpolation": lambda ask: ask.backbone.use_preprocess(replace(ask.backbone.preprocess, interpolation="nearest")),
    "order": lambda ask: ask.samples.reverse(),
    "box": lambda ask: ask.samples.append(replace(ask.samples.pop(), box=(1, 1, -1, -1))),
    "fewer images": lambda ask: ask.samples.pop(),
    "another file": lambda ask: ask.samples[0].image.write_bytes(ask.samples[1].image.read_bytes()),
    "spec": lambda ask: setattr(ask.backbone, "spec", "timm:test_resnet?pretrained=false&global_pool=max"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_features_makes_an_entry_of_its_own(ask: Asker, change: str) -> None:
    ask()
    CHANGES[change](ask)
    ask()
    assert ask.computed
    assert len(ask.entries) == 2


@pytest.mark.parametrize(
    "extraction",
    [Extraction(64), Extraction(32, 1.0), Extraction(32, what="map:-1"), Extraction(32, precision="bf16")],
)
def test_each_extraction_has_an_entry_of_its_own(ask: Asker, extraction: Extraction) -> None:
    ask()
    ask(extraction)
    assert len(ask.entries) == 2


def test_names_for_the_same_thing_share_an_entry(ask: Asker) -> None:
    ask(Extraction(32, what="map:-1"))
    ask(Extraction(32, ask.backbone.preprocess.crop_pct, f"map:{ask.backbone.depth - 1}"))
    assert not ask.computed


def test_labels_are_no_part_of_the_key_and_moved_data_is_the_same(ask: Asker, tmp_path: Path) -> None:
    ask()
    (tmp_path / "photos").rename(tmp_path / "moved")
    ask.samples[:] = [Sample(tmp_path / "moved" / sample.image.name, 7) for sample in ask.samples]
    ask()
    assert not ask.computed


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "no array", "header"])
def test_a_damaged_entry_is_computed_again(ask: Asker, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = ask().clone()
    array = ask.entries[0]
    content = bytearray(array.read_bytes())
    if damage == "truncated":
        array.write_bytes(content[:-5])
    elif damage == "flipped":
        content[-3] ^= 1
        array.write_bytes(content)
    elif damage == "empty":
        array.write_bytes(b"")
    elif damage == "no array":
        array.unlink()
    else:
        array.with_suffix(".json").write_text('{"key": ')
    assert torch.equal(ask(), whole)
    assert ask.computed
    assert "damaged; these features are computed again" in caplog.text
    assert len(caplog.messages) == 1
    ask()
    assert not ask.computed


@pytest.mark.parametrize(
    ("field", "value"),
    [("key", {"spec": "another"}), ("key", None), ("shape", [5, 2]), ("shape", None), ("shape", [10, 1 << 40])],
)
def test_a_header_of_another_key_or_shape_is_not_believed(ask: Asker, field: str, value: object) -> None:
    """As where an entry was copied over another, so that its checksum holds."""
    whole = ask().clone()
    header = ask.entries[0].with_suffix(".json")
    content = json.loads(header.read_text())
    header.write_text(json.dumps({**content, field: value}))
    assert torch.equal(ask(), whole)
    assert ask.computed
    assert json.loads(header.read_text())[field] == content[field]


def test_an_entry_in_place_of_another_is_not_believed(ask: Asker) -> None:
    ask(Extraction(64))
    (other,) = ask.entries
    whole = ask().clone()
    (array,) = set(ask.entries) - {other}
    for suffix in (".npy", ".json"):
        array.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    assert torch.equal(ask(), whole)
    assert ask.computed


@pytest.mark.parametrize("suffix", [".npy", ".json", ".partial", ".lock"])
@pytest.mark.parametrize("there", [True, False])
def test_links_in_the_cache_are_neither_read_nor_written_through(
    ask: Asker, tmp_path: Path, suffix: str, there: bool
) -> None:
    """Beside a whole entry, or before there is one; the targets are whole files of the kind."""
    whole = ask().clone()
    link, target = ask.entries[0].with_suffix(suffix), tmp_path / "target"
    kept = (link if link.is_file() else ask.entries[0]).read_bytes() or b"mine"
    target.write_bytes(kept)
    if not there:
        ask.entries[0].with_suffix(".json").unlink()
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    if suffix == ".lock":
        with pytest.raises(UMTError, match="nothing can be cached there"):
            ask()
    else:
        assert torch.equal(ask(), whole)
        assert bool(ask.computed) == (suffix != ".partial" or not there)
    assert target.read_bytes() == kept


@pytest.mark.parametrize("suffix", [".npy", ".json", ".partial"])
def test_pipes_in_the_cache_are_not_waited_for(ask: Asker, suffix: str) -> None:
    whole = ask().clone()
    path = ask.entries[0].with_suffix(suffix)
    ask.entries[0].with_suffix(".json").unlink()
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert torch.equal(ask(), whole)
    assert ask.computed


def test_a_folder_in_place_of_an_entry_is_one_line(ask: Asker) -> None:
    ask()
    array = ask.entries[0]
    array.unlink()
    array.mkdir()
    with pytest.raises(UMTError, match=r"cannot be written \(Is a directory\); remove it, or name another --cache"):
        ask()


def test_a_partial_file_that_is_too_long_is_cut(ask: Asker) -> None:
    whole = ask().clone()
    array = ask.entries[0]
    array.with_suffix(".partial").write_bytes(array.read_bytes() + bytes(10_000))
    array.with_suffix(".json").unlink()
    assert torch.equal(ask(), whole)


@pytest.mark.parametrize("left", [0, 3, 4, 9])
def test_an_interrupted_extraction_goes_on_after_its_last_whole_batch(ask: Asker, left: int) -> None:
    """`left` rows and a piece of one are there."""
    whole = ask().clone()
    array, cut = ask.entries[0], ask.entries[0].stat().st_size - (10 - left) * whole[0].nbytes + 3
    array.with_suffix(".partial").write_bytes(array.read_bytes()[:cut])
    array.unlink()
    array.with_suffix(".json").unlink()
    assert torch.equal(ask(), whole)
    assert [done for done, _, _ in ask.computed] == [done for done in (4, 8, 10) if done > left // 4 * 4]
    assert not list(ask.folder.glob("*.partial"))


def test_a_broken_image_keeps_what_was_done(ask: Asker) -> None:
    good = ask.samples[9].image.read_bytes()
    ask.samples[9].image.write_bytes(bytes(len(good)))  # of the same size, so the same key
    with pytest.raises(UMTError, match=r"9\.png: image cannot be decoded"):
        ask()
    assert not ask.entries
    ask.samples[9].image.write_bytes(good)
    ask()
    assert [done for done, _, _ in ask.computed] == [10]


def test_without_room_features_are_computed_in_memory(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk_cache, "free_bytes", lambda folder: 10)
    found = ask()
    assert ask.computed
    assert not ask.folder.exists()
    assert "are not cached" in caplog.text
    assert len(caplog.messages) == 1
    monkeypatch.undo()
    assert torch.equal(ask(), found)


def test_a_disk_that_fills_up_is_one_line_and_keeps_what_was_done(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UMTError, match=r"\.partial: cannot be written \(No space left on device\); make room"):
        ask()
    monkeypatch.undo()
    ask()
    assert [done for done, _, _ in ask.computed] == [10]


def test_a_folder_that_cannot_be_made_is_one_line(ask: Asker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ask.folder = tmp_path / "file" / "cache"
    with pytest.raises(UMTError, match=r"nothing can be cached there \(Not a directory\); name another --cache"):
        ask()


def test_a_shape_other_than_declared_is_no_entry(ask: Asker) -> None:
    ask.backbone.dim += 1
    with pytest.raises(UMTError, match=r"gives features of shape \(\d+,\) and declares"):
        ask()
    assert not ask.entries


def test_the_file_is_plain_numpy_with_its_key_beside_it(ask: Asker) -> None:
    found = ask()
    header = json.loads(ask.entries[0].with_suffix(".json").read_text())
    np.testing.assert_array_equal(np.load(ask.entries[0]), found.numpy())
    assert header["shape"] == list(found.shape)
    assert header["key"]["weights"] == ask.backbone.weights_hash()
    assert header["key"]["images"] == {
        "count": 10,
        "fingerprint": images_fingerprint([sample.image for sample in ask.samples]),
    }


PARTS = ("mean:-1", "pooled", "summary:-1", "summary:0")


def parts_of(ask: Asker, parts: Sequence[str] = PARTS) -> list[torch.Tensor]:
    ask.computed.clear()
    report = lambda done, total, text: ask.computed.append((done, total, text))  # noqa: E731
    return cached_features(ask.backbone, ask.samples, Extraction(32), parts, CPU, 4, report, ask.folder)


@pytest.mark.parametrize("spec", ["timm:test_resnet?pretrained=false", "timm:test_vit2?pretrained=false"])
@pytest.mark.parametrize("cached", [True, False])
def test_parts_of_one_pass_equal_those_of_a_pass_each(ask: Asker, spec: str, cached: bool) -> None:
    ask.backbone = create_backbone(spec)
    ask.folder = ask.folder if cached else None
    side = ask.backbone.side(32)
    each = [
        cached_features(ask.backbone, ask.samples, Extraction(side), [part], CPU, 4, lambda *_: None, None)[0]
        for part in PARTS
    ]
    report = lambda done, total, text: ask.computed.append((done, total, text))  # noqa: E731
    found = cached_features(ask.backbone, ask.samples, Extraction(side), PARTS, CPU, 4, report, ask.folder)
    assert [done for done, _, _ in ask.computed] == [4, 8, 10]
    assert all(map(torch.equal, found, each))


def test_parts_share_the_entries_of_single_parts_and_compute_the_missing_ones(ask: Asker) -> None:
    last = ask.backbone.depth - 1
    alone = ask(Extraction(32, what=f"mean:{last}")).clone()
    (entry,) = ask.entries
    header = entry.with_suffix(".json").read_bytes()
    first = parts_of(ask)
    assert len(ask.computed) == 3
    assert len(ask.entries) == len(PARTS)
    assert entry.with_suffix(".json").read_bytes() == header  # not written again
    assert torch.equal(first[0], alone)
    parts_of(ask)
    assert not ask.computed
    assert torch.equal(ask(), first[1])
    assert not ask.computed


def test_two_names_of_one_part_are_one_entry(ask: Asker) -> None:
    one, two = parts_of(ask, ["mean:-1", f"mean:{ask.backbone.depth - 1}"])
    assert torch.equal(one, two)
    assert len(ask.entries) == 1


def test_parts_go_on_where_the_shortest_of_them_ended(ask: Asker) -> None:
    whole = [part.clone() for part in parts_of(ask)]
    for kept, array in enumerate(ask.entries):  # 4 to 7 of 10 rows are left
        row = (array.stat().st_size - 128) // 10
        array.with_suffix(".json").unlink()
        array.with_suffix(".partial").write_bytes(array.read_bytes()[: 128 + (4 + kept) * row])
        array.unlink()
    assert all(map(torch.equal, parts_of(ask), whole))
    assert [done for done, _, _ in ask.computed] == [8, 10]


def test_parts_without_room_are_computed_in_memory_beside_those_on_disk(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pooled = ask().clone()
    monkeypatch.setattr(disk_cache, "free_bytes", lambda folder: 10)
    found = parts_of(ask)
    assert [len(ask.entries), len(ask.computed), len(caplog.messages)] == [1, 3, 1]
    assert torch.equal(found[1], pooled)


@pytest.mark.parametrize("free", [10, 10**9])
def test_without_locks_parts_on_disk_are_read_and_the_others_computed_in_memory(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, free: int
) -> None:
    """NFS without a lock service, with and without room for the other parts."""
    pooled = ask().clone()
    monkeypatch.setattr(disk_cache, "lock", lambda path, timeout: nullcontext(False))
    monkeypatch.setattr(disk_cache, "free_bytes", lambda folder: free)
    found = parts_of(ask)
    assert [len(ask.entries), len(ask.computed)] == [1, 3]
    assert "nothing can be cached there (No locks available)" in caplog.text
    assert torch.equal(found[1], pooled)


@pytest.mark.slow
def test_two_processes_that_ask_at_once_compute_once(ask: Asker) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with CacheEntry(ask.folder, "start").locked():
        other = context.Process(target=_ask_elsewhere, args=(ask.samples, ask.folder, answers))
        other.start()
        assert answers.get(timeout=120) == "ready"
    here = ask()
    computed, there = answers.get(timeout=120)
    other.join()
    assert sorted([computed, sum("img/s" in text for _, _, text in ask.computed)]) == [0, 3]
    assert there == here.numpy().tobytes()


def _ask_elsewhere(samples: list[Sample], folder: Path, answers: Any) -> None:
    """In a process of its own: batches that were computed, and the features."""
    torch.set_num_threads(1)
    backbone = create_backbone("timm:test_resnet?pretrained=false")
    texts: list[str] = []
    answers.put("ready")
    with CacheEntry(folder, "start").locked():
        pass
    report = lambda done, total, text: texts.append(text)  # noqa: E731
    (found,) = cached_features(backbone, samples, Extraction(32), ["pooled"], CPU, 4, report, folder)
    answers.put((sum("img/s" in text for text in texts), found.numpy().tobytes()))


def _changed_weights(backbone: Backbone) -> None:
    last = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)][-1]
    with torch.no_grad():
        last.weight[0, 0] += 1
