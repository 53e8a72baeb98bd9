"""What a suite does before its example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmarks.example import example_backbones
from benchmarks.suite import Suite, load_suite
from umt.backbones.label import split_label
from umt.cli import cli
from umt.errors import UMTError


@pytest.fixture
def suite() -> Suite:
    """The mini suite with a quick command."""
    return replace(load_suite("mini"), prepare=(("data", "list"),), example=("A={out}/made/a.pth#b", "timm:resnet18"))


def test_commands_show_what_they_print_and_names_say_where_things_are(
    suite: Suite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = example_backbones(suite, tmp_path, tmp_path, Console(quiet=True), dry_run=False)
    assert names == (f"A={tmp_path}/made/a.pth#b", "timm:resnet18")
    assert "CUB_200_2011" in capfd.readouterr().out


def test_the_plan_shows_commands_and_what_they_would_make_and_runs_nothing(small_suite: Callable[..., Any]) -> None:
    small = small_suite()
    example = 'prepare: [[data, mini, --out, "{out}/made"]]\nexample: ["A={out}/made/a.pth"]\n'
    small.file.write_text(small.file.read_text().replace("example: []\n", example))
    places = ["--suite", str(small.file), "--data-root", str(small.data_root), "--out", str(small.out), "--dry-run"]
    shown = CliRunner().invoke(cli, ["run", *places]).stdout
    assert f"would run: umt data mini --out {small.out}/made" in shown
    assert f"{small.out}/made/a.pth: no such weight file" in shown
    named = CliRunner().invoke(cli, ["run", "--backbone", "timm:test_resnet?pretrained=false", *places]).stdout
    assert "umt data mini" not in named, "whoever names a backbone needs no example"
    assert not small.out.exists()


def test_a_command_that_fails_is_named(suite: Suite, tmp_path: Path) -> None:
    broken = replace(suite, prepare=(("backbones", "check", "timm:no_such_model"),))
    with pytest.raises(UMTError, match=r"`umt backbones check timm:no_such_model` ended with exit status 2"):
        example_backbones(broken, tmp_path, tmp_path, Console(quiet=True), dry_run=False)


def test_the_mini_suite_distils_its_student_from_its_own_data() -> None:
    suite = load_suite("mini")
    assert [command[0] for command in suite.prepare] == ["distill"]
    assert "{data}" in suite.prepare[0]
    assert dict(split_label(name) for name in suite.example[:3]) == {
        "UMT student": "{out}/student/student.pth",
        "UMT student, lite0 head": "{out}/student/student.pth#lite0",
        "UMT student, lite2 head": "{out}/student/student.pth#lite2",
    }
