"""From tables to jobs: columns, heads, students that are trained on request, analyses."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import click
import pytest
import torch
from rich.console import Console

from benchmarks.suite import tables
from benchmarks.suite.suite import CkaRun, StudentRun, TablePlan, load_suite, suite_names
from benchmarks.suite.tables import analyse, chosen_tables, parts_of, train_students
from reports.tables.student_tables import STUDENT_TABLES
from umt.backbones import create_backbone
from umt.backbones.checkpoint import Interaction, Space, save_checkpoint
from umt.backbones.spec import BackboneName, read_name
from umt.distill.recipe import load_recipe
from umt.errors import ProcessError, UMTError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A student with two spaces, of which only the names are asked here."""
    spaces = [Space(name, "dino", "timm:resnet50", 8) for name in ("cls", "dino")]
    path = tmp_path / "ckpt.pth"
    interaction = Interaction({}, {"x": torch.zeros(1)})
    save_checkpoint(path, create_backbone("timm:test_resnet?pretrained=false"), spaces=spaces, interaction=interaction)
    return path


def names(*texts: str) -> tuple[BackboneName, ...]:
    return tuple(map(read_name, texts))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The `umt` commands that would be run; a distillation that is no dry run leaves its checkpoint."""
    run: list[list[str]] = []

    def remember(arguments: list[str]) -> None:
        run.append(arguments)
        if arguments[0] == "distill" and "--dry-run" not in arguments:
            place = Path(arguments[arguments.index("--out") + 1])
            place.mkdir(parents=True)
            (place / "student.pth").touch()

    monkeypatch.setattr(tables, "run_command", remember)
    return run


def test_heads_are_evaluated_only_where_a_table_shows_them(checkpoint: Path) -> None:
    suite = load_suite("paper")
    backbones = names(f"mine={checkpoint}", "timm:resnet50", f"head={checkpoint}#cls")
    (main, named), (heads, seen) = parts_of(suite, chosen_tables(suite, "4, 7"), backbones)
    assert named == backbones
    assert [column.heading for column in main.measured] == ["CUB", "ADE20K", "NYUv2"]
    assert seen == names(f"mine, cls head={checkpoint}#cls", f"mine, dino head={checkpoint}#dino")
    assert [column.heading for column in heads.measured] == ["CUB"]


def test_without_heads_there_is_one_part_and_without_tables_the_whole_suite(checkpoint: Path) -> None:
    suite = load_suite("mini")
    assert parts_of(suite, [], names("timm:a")) == [(suite, names("timm:a"))]
    ((reduced, _),) = parts_of(suite, chosen_tables(suite, "1"), names(str(checkpoint)))
    assert (reduced.columns, reduced.probes, reduced.costs) == (suite.columns, (), ())
    with pytest.raises(UMTError, match="unknown table of suite 'mini' '9'"):
        chosen_tables(suite, "1,9")


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_a_suite_measures_what_its_tables_show(name: str) -> None:
    suite = load_suite(name)
    assert name in suite_names()
    for declared in STUDENT_TABLES:
        for plan in suite.tables:
            if plan.number == declared.number:
                ((reduced, _), *_) = parts_of(suite, [plan], ())
                asked = {(column.task, column.dataset) for column in reduced.measured}
                assert {(task.task, task.dataset) for task in declared.tasks} <= asked
                assert asked, "without a result a student is in no table"
                assert plan.heads == declared.heads


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_every_student_of_a_table_has_a_recipe(name: str) -> None:
    for student in (student for table in load_suite(name).tables for student in table.students):
        load_recipe(student.recipe, student.changes)


def test_costs_are_told_before_anything_is_trained(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    plans = [TablePlan(3, students=(StudentRun("A b", "r"), StudentRun("C", "r", ("seed=1",))))]
    with pytest.raises(click.Abort):  # nobody answers
        train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=False, dry_run=False)
    assert ["--dry-run" in command for command in commands] == [True, True]
    assert commands[1][:5] == ["distill", "--recipe", "r", "--set", "seed=1"]
    commands.clear()
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=False, dry_run=True) == ()
    assert all("--dry-run" in command for command in commands)
    assert not any("--wandb" in command for command in commands)
    commands.clear()
    train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=True, wandb=True)
    assert all("--wandb" in command for command in commands)


def test_finished_students_are_not_trained_again(tmp_path: Path, commands: list[list[str]]) -> None:
    plans = [TablePlan(3, students=(StudentRun("A b", "r"),)), TablePlan(2, students=(StudentRun("A b", "r"),))]
    expected = (BackboneName("A b", str(tmp_path / "students" / "a-b" / "student.pth")),)
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False) == expected
    assert len(commands) == 2
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False) == expected
    assert len(commands) == 2


def test_what_cannot_be_trained_is_said(tmp_path: Path) -> None:
    clash = [TablePlan(2, students=(StudentRun("A", "r"),)), TablePlan(3, students=(StudentRun("A", "other"),))]
    for plans, said in ((clash, "different students 'A'"), ([TablePlan(1)], "name no students")):
        with pytest.raises(UMTError, match=said):
            train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False)


def test_analyses_run_on_checkpoints_alone(checkpoint: Path, tmp_path: Path, commands: list[list[str]]) -> None:
    plan = TablePlan(6, cka=CkaRun("caltech101", 400, 96))
    backbones = names(f"--out=/x={checkpoint}", "timm:resnet50", f"head={checkpoint}#cls")
    assert analyse([plan], backbones, tmp_path / "data", tmp_path, Console(quiet=True)) == 0
    (command,) = commands
    assert command[:2] == ["analyze", "cka"]
    assert dict(zip(command[3:13:2], command[4:13:2], strict=True)) == {
        "--data": "caltech101", "--limit": "400", "--resolution": "96", "--data-root": f"{tmp_path}/data",
        "--results": f"{tmp_path}/results",
    }  # fmt: skip
    assert command[-4:] == ["--out", f"{tmp_path}/cka", "--", f"{backbones[0].label}={backbones[0].spec}"]


def test_a_comparison_that_fails_stops_no_other(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def fail(arguments: list[str]) -> None:
        asked.append(arguments)
        raise ProcessError("`umt analyze` ended with exit status 2")

    monkeypatch.setattr(tables, "run_command", fail)
    plan = TablePlan(6, cka=CkaRun("caltech101", 400))
    backbones = names(f"a={checkpoint}", f"b={checkpoint}")
    assert analyse([plan], backbones, tmp_path, tmp_path, Console()) == len(asked) == 2
    assert "failed b: `umt analyze` ended with exit status 2" in capsys.readouterr().out


def test_the_program_picks_the_place_of_a_student(tmp_path: Path, commands: list[list[str]]) -> None:
    for label in ("/etc", "..", "@@", "~", "{out.__class__}", "x" * 300):
        plans = [TablePlan(3, students=(StudentRun(label, "r"),))]
        train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False)
        place = Path(commands[-1][commands[-1].index("--out") + 1])
        assert place.parent == tmp_path / "students"
    places = [command[command.index("--out") + 1] for command in commands]
    assert len(set(places)) == 6


def test_files_that_are_trusted_are_passed_on(tmp_path: Path, commands: list[list[str]]) -> None:
    plans = [TablePlan(3, students=(StudentRun("A", "r"),))]
    train_students(plans, tmp_path, tmp_path, Console(quiet=True), ["r"], sure=True, dry_run=False)
    assert all(command[3:5] == ["--trust", "r"] for command in commands)
