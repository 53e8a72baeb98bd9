"""From tables to jobs: columns, heads, students that are trained on request, analyses."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import click
import pytest
import torch
from rich.console import Console

from benchmarks import tables
from benchmarks.suite import StudentRun, TablePlan, load_suite, suite_names
from benchmarks.tables import analyse, chosen_tables, parts_of, train_students
from reports.student_tables import STUDENT_TABLES
from umt.backbones import create_backbone
from umt.backbones.checkpoint import Interaction, Space, save_checkpoint
from umt.distill.recipe import load_recipe
from umt.errors import UMTError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A student with two spaces, of which only the names are asked here."""
    spaces = [Space(name, "dino", "timm:resnet50", 8) for name in ("cls", "dino")]
    path = tmp_path / "ckpt.pth"
    interaction = Interaction({}, {"x": torch.zeros(1)})
    save_checkpoint(path, create_backbone("timm:test_resnet?pretrained=false"), spaces=spaces, interaction=interaction)
    return path


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
    backbones = (f"mine={checkpoint}", "timm:resnet50", f"head={checkpoint}#cls")
    (main, named), (heads, seen) = parts_of(suite, chosen_tables(suite, "4, 7"), backbones)
    assert named == backbones
    assert [column.heading for column in main.measured] == ["CUB", "ADE20K", "NYUv2"]
    assert seen == (f"mine, cls head={checkpoint}#cls", f"mine, dino head={checkpoint}#dino")
    assert [column.heading for column in heads.measured] == ["CUB"]


def test_without_heads_there_is_one_part_and_without_tables_the_whole_suite(checkpoint: Path) -> None:
    suite = load_suite("mini")
    assert parts_of(suite, [], ("a",)) == [(suite, ("a",))]
    ((reduced, _),) = parts_of(suite, chosen_tables(suite, "1"), (str(checkpoint),))
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
    plans = [TablePlan(3, students=(StudentRun("A b", "r"), StudentRun("C", "r", ("x=1",))))]
    with pytest.raises(click.Abort):  # nobody answers
        train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=False, dry_run=False)
    assert ["--dry-run" in command for command in commands] == [True, True]
    assert commands[1][:5] == ["distill", "--recipe", "r", "--set", "x=1"]
    commands.clear()
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=False, dry_run=True) == ()
    assert all("--dry-run" in command for command in commands)


def test_finished_students_are_not_trained_again(tmp_path: Path, commands: list[list[str]]) -> None:
    plans = [TablePlan(3, students=(StudentRun("A b", "r"),)), TablePlan(2, students=(StudentRun("A b", "r"),))]
    expected = (f"A b={tmp_path / 'students' / 'a-b' / 'student.pth'}",)
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
    plan = TablePlan(6, analyses=(("analyze", "cka", "{label}={backbone}", "--out", "{out}/cka"),))
    analyse([plan], (f"mine={checkpoint}", "timm:resnet50", f"head={checkpoint}#cls"), tmp_path, tmp_path)
    assert commands == [["analyze", "cka", f"mine={checkpoint}", "--out", f"{tmp_path}/cka"]]
