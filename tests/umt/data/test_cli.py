"""`umt data` through its real commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from umt.data import cli
from umt.data.mini import PARTS, MiniSize, write
from umt.data.registry import NAMES, find_dataset


def test_list_names_every_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(cli.data, ["list"])
    assert result.exit_code == 0, result.output
    for text in (*NAMES, "train 1,281,167, val 50,000", "caltech101/101_ObjectCategories"):
        assert text in result.output


def test_mini_writes_and_says_what_is_real(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_size: MiniSize
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(write.write_part, "__defaults__", (tiny_size,))
    result = CliRunner().invoke(cli.data, ["mini", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for part in PARTS:
        assert find_dataset(part.dataset, tmp_path).title == part.title
        assert part.title in result.output
    assert "rooms and their depth" in result.output
