"""What a suite does before its example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.example import example_backbones
from benchmarks.suite import Suite, load_suite
from umt.errors import UMTError


@pytest.fixture
def suite() -> Suite:
    """The mini suite with a quick command that leaves something behind."""
    command = ("data", "mini", "--out", "{out}/made")
    return replace(load_suite("mini"), prepare=(command,), example=("A={out}/made/a.pth#b", "timm:resnet18"))


def test_commands_run_and_names_say_where_things_are(suite: Suite, tmp_path: Path) -> None:
    names = example_backbones(suite, tmp_path, tmp_path, Console(quiet=True), dry_run=False)
    assert names == (f"A={tmp_path}/made/a.pth#b", "timm:resnet18")
    assert (tmp_path / "made" / "imagenet").is_dir()


def test_a_dry_run_only_prints_them(suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example_backbones(suite, tmp_path, tmp_path, Console(), dry_run=True)
    assert f"umt data mini --out {tmp_path}/made" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()


def test_a_command_that_fails_is_named(suite: Suite, tmp_path: Path) -> None:
    broken = replace(suite, prepare=(("backbones", "check", "timm:no_such_model"),))
    with pytest.raises(UMTError, match=r"`umt backbones check timm:no_such_model` ended with exit status 2"):
        example_backbones(broken, tmp_path, tmp_path, Console(quiet=True), dry_run=False)


def test_the_mini_suite_distils_its_student_from_its_own_data() -> None:
    suite = load_suite("mini")
    assert [command[0] for command in suite.prepare] == ["distill"]
    assert "{data}" in suite.prepare[0]
    assert sum("{out}/student/student.pth" in name for name in suite.example) == 3
