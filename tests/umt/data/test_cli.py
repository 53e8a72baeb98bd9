"""`umt data` through its real commands."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from umt.cli import main
from umt.data import cli
from umt.data.mini import mini_versions, write
from umt.data.registry import BUILT_IN, find_dataset


def test_list_names_every_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(cli.data, ["list"])
    assert result.exit_code == 0, result.output
    for text in (*BUILT_IN, "train 1,281,167, val 50,000", "caltech101/101_ObjectCategories"):
        assert text in result.output


def test_list_says_what_is_there_prepared_and_verified(tmp_path: Path, tiny_size: dict[str, Any]) -> None:
    def states() -> list[str]:
        output = CliRunner().invoke(cli.data, ["list", "--data-root", str(tmp_path)]).output
        return [line.split(maxsplit=1)[1] for line in output.splitlines() if line.startswith("  state")]

    assert states() == ["not there"] * len(BUILT_IN)
    write.write_set("cub", tmp_path / "source", tiny_size)
    prepared = ["prepare", "cub", "--from", str(tmp_path / "source"), "--data-root", str(tmp_path)]
    assert CliRunner().invoke(cli.data, prepared).exit_code == 0
    assert states()[BUILT_IN.index("cub")] == "there; CUB_200_2011 from a copy; not verified"
    assert CliRunner().invoke(cli.data, ["verify", "cub", "--data-root", str(tmp_path)]).exit_code == 0
    title = mini_versions()["cub"].title
    assert states()[BUILT_IN.index("cub")].endswith(f"verified {date.today().isoformat()}: {title}")
    (tmp_path / ".umt-data" / "cub.json").write_text("{")
    assert "cub.json: not a record of a data set" in states()[BUILT_IN.index("cub")]


def test_prepare_says_what_it_did_and_what_comes_next(tmp_path: Path, tiny_size: dict[str, Any]) -> None:
    write.write_set("ade20k", tmp_path / "source", tiny_size)
    command = ["prepare", "ade20k", "--from", str(tmp_path / "source"), "--data-root", str(tmp_path / "data")]
    for origin in ("made from a copy", "was there already"):
        result = CliRunner().invoke(cli.data, command)
        assert result.exit_code == 0, result.output
        assert f"ADEChallengeData2016: training 2, validation 1; {origin}" in result.output
        assert f"next: umt data verify ade20k --data-root {tmp_path / 'data'}" in result.output


def test_verify_prints_what_is_wrong_and_fails(tmp_path: Path, tiny_size: dict[str, Any]) -> None:
    folder = write.write_set("ade20k", tmp_path, tiny_size)
    broken = sorted((folder / "images" / "validation").iterdir())[0]
    broken.write_bytes(b"")
    result = CliRunner().invoke(cli.data, ["verify", "ade20k", "--data-root", str(tmp_path)])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"wrong: {broken}: image cannot be decoded")
    assert line.endswith("copy it again, or remove it")


def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["umt", "data", "prepare", "cub", "--from", "gone.tgz", "--data-root", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("umt: --from gone.tgz: no such file or folder; give CUB_200_2011.tgz")
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "prepare", "verify"])
def test_help_has_an_example(command: str) -> None:
    output = CliRunner().invoke(cli.data, [command, "--help"]).output
    assert f"umt data {command}" in output.partition("Examples:")[2]


def test_mini_writes_and_says_what_is_real(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_size: dict[str, Any]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(write.write_set, "__defaults__", (tiny_size,))
    result = CliRunner().invoke(cli.data, ["mini", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for name, version in mini_versions().items():
        assert find_dataset(name, tmp_path).title == version.title
        assert version.title in result.output
    assert "rooms and their depth" in result.output
