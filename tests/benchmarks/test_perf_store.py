"""The benchmark of large stores runs, on a small one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.perf import hostile_store, store
from benchmarks.results import ResultStore


def test_look_ups_and_commands_are_measured_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMMANDS", ("leaderboard",))
    look_up, first, again = store.rows(tmp_path / "results", 60)
    assert look_up.note == "60, 60 done"
    assert ("first run" in first.job, "again" in again.job) == (True, True)
    assert all(row.ours > 0 for row in (first, again))
    assert 10 < int(first.note.split()[0]) < 1000, "MB"
    assert len({result.key for result in ResultStore(tmp_path / "results")}) == 60


def test_what_is_promised_is_measured_in_seconds_and_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMMANDS", ("leaderboard",))
    monkeypatch.setattr(store, "COMMAND_LIMITS", {60: (5.0, 500)})
    *_, again, seconds, megabytes = store.rows(tmp_path / "results", 60)
    assert (seconds.theirs, seconds.ours, seconds.unit) == (5.0, again.ours, "s")
    assert (megabytes.theirs, megabytes.unit) == (500, "MB")
    assert f"{megabytes.ours:.0f} MB of 200" == again.note


def test_a_report_with_values_of_items_takes_paired_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ITEMS", 300)
    row = store.paired_row(tmp_path / "results", 60)
    assert (row.theirs, row.job) == (5.0, "umt report of 60 results with values of 300 items, again")
    assert "Bold: not separated from the best" in (tmp_path / "out" / "table1.md").read_text(encoding="utf-8")


def test_all_hostile_files_are_left_out_and_all_sound_ones_read(tmp_path: Path) -> None:
    count = 2 * len(hostile_store.HOSTILE)
    assert hostile_store.row(tmp_path, count).note == f"0 and {count} left out"
