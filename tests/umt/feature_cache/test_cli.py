"""`umt cache` on a cache with real entries, and the order in which they go."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from umt.cli import cli
from umt.errors import UMTError
from umt.feature_cache.entry import CacheEntry
from umt.feature_cache.folder import stored_entries, to_prune
from umt.features import Extraction

DAY = 86400
NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def three(ask: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Entries of 32, 64 and 96 pixels that were used 1, 10 and 20 days ago."""
    monkeypatch.setenv("COLUMNS", "200")
    for side, days in ((32, 1), (64, 10), (96, 20)):
        before = {found.entry.name for found in stored_entries(ask.folder)} if ask.folder.exists() else set()
        ask(Extraction(side))
        (made,) = (found for found in stored_entries(ask.folder) if found.entry.name not in before)
        for path in made.entry.files[:2]:
            os.utime(path, (NOW.timestamp() - days * DAY,) * 2)
    return ask


def call(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["cache", *map(str, arguments)])
    if isinstance(done.exception, UMTError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def sides(folder: Path) -> list[int]:
    return [(found.key or {})["extraction"]["resolution"] for found in stored_entries(folder)]


def test_the_list_tells_backbone_images_and_size(three: Any) -> None:
    printed = call("list", three.folder)
    assert printed.count("timm:test_resnet?pretrained=false") == 3
    assert three.backbone.weights_hash()[:12] in printed
    assert "pooled 64 px fp32" in printed
    assert "3 entries" in printed


def test_the_environment_names_the_folder(three: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMT_CACHE", str(three.folder))
    assert "3 entries" in call("list")


@pytest.mark.parametrize(
    ("condition", "gone"),
    [
        ({"older_than": timedelta(days=15)}, [96]),
        ({"keep_bytes": 2.5}, [96]),
        ({"keep_bytes": 0}, [32, 64, 96]),
        ({"keep_bytes": 1.5, "older_than": timedelta(days=25)}, [64, 96]),
        ({"backbone": "no such"}, []),
    ],
)
def test_conditions_choose_what_was_used_longest_ago(three: Any, condition: dict[str, Any], gone: list[int]) -> None:
    entries = stored_entries(three.folder)
    none = {"older_than": None, "keep_bytes": None, "backbone": None}
    sizes = {"keep_bytes": condition["keep_bytes"] * entries[0].size} if "keep_bytes" in condition else {}
    chosen = to_prune(entries, NOW, **{**none, **condition, **sizes})
    assert [(found.key or {})["extraction"]["resolution"] for found in chosen] == gone


@pytest.mark.filterwarnings("ignore:--weights goes with the next release:FutureWarning")
@pytest.mark.parametrize("option", ["--features-of", "--weights"])  # the second is its older name
def test_pruning_removes_and_a_dry_run_does_not(three: Any, option: str) -> None:
    assert "would remove 3 entries" in call("prune", three.folder, "--older-than", 15, "--dry-run")
    assert sides(three.folder) == [32, 64, 96]
    weights = three.backbone.weights_hash()[:8]
    assert "removed 3 entries" in call("prune", three.folder, option, weights)
    assert {path.suffix for path in three.folder.iterdir()} <= {".lock"}


def test_a_use_keeps_an_entry(three: Any) -> None:
    three(Extraction(96))
    call("prune", three.folder, "--keep", stored_entries(three.folder)[0].size * 1.5 / 1e9)
    assert sides(three.folder) == [96]


def test_what_a_process_is_at_stays(three: Any) -> None:
    with stored_entries(three.folder)[0].entry.locked():
        printed = call("prune", three.folder, "--keep", 0)
    assert "1 stay: a process is at them" in printed
    assert sides(three.folder) == [32]


def test_an_unfinished_entry_is_listed_and_goes(three: Any) -> None:
    CacheEntry(three.folder, "ab" * 16).partial.write_bytes(bytes(100))
    assert "unfinished or damaged" in call("list", three.folder)
    call("prune", three.folder, "--keep", 0)
    assert stored_entries(three.folder) == []


def test_pruning_without_a_condition_is_refused(three: Any) -> None:
    with pytest.raises(
        UMTError, match="name the features to remove by --older-than DAYS, --keep GB or --features-of HASH"
    ):
        call("prune", three.folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="nowhere: no such folder"):
        call("list", tmp_path / "nowhere")


KEY = {
    "spec": "timm:x",
    "weights": "ab",
    "extraction": {"what": "pooled", "resolution": 32, "precision": "fp32"},
    "images": {"count": 3},
}
HEADERS: list[Any] = [
    None,
    [],
    {},
    {"key": None},
    {"key": []},
    {"key": {}},
    {"key": {**KEY, "spec": None}},
    {"key": {**KEY, "weights": 5}},
    {"key": {**KEY, "extraction": "x"}},
    {"key": {**KEY, "extraction": {"what": "pooled", "resolution": "32", "precision": "fp32"}}},
    {"key": {**KEY, "images": [3]}},
    {"key": {**KEY, "images": {"count": "3"}}},
    {"key": {**KEY, "images": {"count": 10**400}}},
]


@pytest.mark.parametrize("header", HEADERS)
def test_any_header_is_listed_and_pruned(tmp_path: Path, header: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    entry = CacheEntry(tmp_path, "ab" * 16)
    entry.header.write_text(json.dumps(header))
    entry.array.write_bytes(b"x")
    os.utime(entry.array, (2**40, 2**40))
    assert "unfinished or damaged" in call("list", tmp_path)
    call("prune", tmp_path, "--features-of", "abc", "--keep", 0)
    assert not entry.array.exists()


def test_pruning_removes_links_and_never_what_they_lead_to(tmp_path: Path) -> None:
    folder, outside = tmp_path / "cache", tmp_path / "outside"
    outside.mkdir()
    folder.mkdir()
    for name in ("a.npy", "a.json", "a.partial", "b"):
        (outside / name).write_text("mine")
        (folder / name).symlink_to(outside / name)
    (folder / "c.npy").symlink_to(outside)
    (folder / "d.json").symlink_to("d.json")
    (folder / "e.npy").mkdir()
    (folder / "f.npy").write_bytes(b"x")
    (folder / "f.lock").symlink_to(outside / "b")
    call("list", folder)
    call("prune", folder, "--older-than", 0)
    assert {path.name for path in outside.iterdir()} == {"a.npy", "a.json", "a.partial", "b"}
    assert all(path.read_text() == "mine" for path in outside.iterdir())
    assert {path.name for path in folder.iterdir() if path.suffix != ".lock"} == {"b", "e.npy", "f.npy"}
