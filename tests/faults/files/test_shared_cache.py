"""The feature cache of another user: what can be read of it is used, and the rest is computed, with one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matrix.doors import cache_arguments, make_cache
from matrix.faults import nobody

from umt.feature_cache.lookup import cached_features


def modes(folder: Path, of_folder: int, of_files: int) -> None:
    for path in folder.iterdir():
        path.chmod(of_files)
    folder.chmod(of_folder)


def ask(folder: Path) -> tuple[torch.Tensor, int]:
    """Ask as somebody else for the features; return them, and how often work was reported."""
    reports: list[int] = []
    *arguments, _ = cache_arguments(folder)
    with nobody():
        (found,) = cached_features(*arguments, lambda done, *_: reports.append(done), folder / "cache")
    return found, len(reports)


@pytest.mark.parametrize(
    ("of_folder", "of_files", "computed", "lines"),
    [(0o555, 0o444, False, 0), (0o555, 0o000, True, 1), (0o777, 0o444, False, 0), (0o000, 0o444, True, 1)],
    ids=["read-only", "private files", "folder for all", "private folder"],
)
def test_the_cache_of_another_user(
    open_folder: Path,
    caplog: pytest.LogCaptureFixture,
    of_folder: int,
    of_files: int,
    computed: bool,
    lines: int,
) -> None:
    cache = make_cache(open_folder).parent
    own, reports = ask(open_folder)
    assert not reports
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    caplog.clear()
    modes(cache, of_folder, of_files)
    try:
        found, reports = ask(open_folder)
    finally:
        cache.chmod(0o777)
        modes(cache, 0o777, 0o644)
    assert torch.equal(found, own)
    assert bool(reports) == computed
    assert len(caplog.messages) == lines
    assert all(str(cache) in message and "not cached" in message for message in caplog.messages)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before


def test_an_empty_cache_that_cannot_be_written_is_done_without(
    open_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make_cache(open_folder).parent
    own, _ = ask(open_folder)
    for path in cache.iterdir():
        path.unlink()
    cache.chmod(0o555)
    found, reports = ask(open_folder)
    cache.chmod(0o777)
    assert torch.equal(found, own)
    assert reports
    assert len(caplog.messages) == 1
    assert not list(cache.iterdir())
