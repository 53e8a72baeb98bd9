"""Actions of a suite beside its jobs: distil students, compare them with their teachers by CKA, write the tables.

A suite names the actions; all their paths are chosen here, below OUT. Plug-ins and the floors above carry them out: the
composition root, umt/__init__.py, says which function does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import umt
from benchmarks.jobs.forkserver import call, fork_server, imported
from benchmarks.suite.suite import FOLDER, CkaRun, StudentRun, Suite, SuiteTable, suite_names
from benchmarks.suite.tables import checkpoints_of, head_of
from umt.backbones.spec import BackboneName, read_name
from umt.backbones.trust import is_trusted, name_from_file
from umt.console import Console, print_whole, shown
from umt.errors import OptionError, UMTError
from umt.files import below, component


def example_backbones(
    suite: Suite,
    data_root: Path,
    out: Path,
    console: Console,
    trust: Sequence[str],
    *,
    isolated: bool = True,
    dry_run: bool,
    wandb: bool = False,
) -> tuple[BackboneName, ...]:
    """Distil the students of a suite's example, and return its backbones; a dry run only lists these students.

    Raises TrustError if a backbone runs code and the suite is not among the files that are trusted.
    """
    names = [_example_name(suite, text, trust) for text in suite.example]
    for student in suite.example_students:
        intent = f"{'would distil' if dry_run else 'distilling'} {student.label} by recipe {student.recipe}"
        print_whole(console, shown(f"{intent} into {student_file(student, out).parent}"))
    if suite.example_students and not dry_run:
        arguments = distillation(suite.example_students, data_root, out, trust, wandb=wandb)
        perform("distil", isolated=isolated, quiet=console.quiet, **arguments)
    return (*(name for student in suite.example_students for name in _with_heads(student, out)), *names)


def train_students(
    tables: Sequence[SuiteTable],
    data_root: Path,
    out: Path,
    console: Console,
    trust: Sequence[str] = (),
    *,
    sure: bool,
    dry_run: bool,
    wandb: bool = False,
) -> tuple[BackboneName, ...]:
    """Distil the students that the tables name, with the cost of each printed before; return the finished students.

    Finished students are not trained again, and an interrupted training goes on. UMTError if a label means two recipes.
    """
    students = _students(tables)
    files = {label: student_file(student, out) for label, student in students.items()}
    to_train = [student for label, student in students.items() if not files[label].is_file()]
    if to_train:
        arguments = distillation(to_train, data_root, out, trust, wandb=wandb)
        if dry_run or not sure:
            console.print("The students would cost")
            perform("distil", isolated=True, dry_run=True, **arguments)
        if not (dry_run or sure):
            click.confirm(f"Train {len(to_train)} students?", abort=True)
        if not dry_run:
            perform("distil", isolated=True, **arguments)
    return tuple(BackboneName(label, str(file)) for label, file in files.items() if file.is_file())


def analyse(
    tables: Sequence[SuiteTable],
    backbones: Sequence[BackboneName],
    data_root: Path,
    out: Path,
    console: Console,
    *,
    isolated: bool = True,
) -> int:
    """Compare each checkpoint with its teachers, if a table needs it; return the number of failed comparisons."""
    failed = 0
    for run in (table.cka for table in tables if table.cka):
        for name in checkpoints_of(backbones):
            try:
                perform("compare", isolated=isolated, **comparison(run, name, data_root, out))
            except UMTError as error:
                failed += 1
                print_whole(console, f"[red]failed[/] {shown(name.label)}: {shown(error.coded)}")
    return failed


def student_file(student: StudentRun, out: Path) -> Path:
    """Return the path of a student's checkpoint, which may not exist yet."""
    return below(out, "students", component(student.label, "-").lower(), "student.pth")


def distillation(
    students: Sequence[StudentRun], data_root: Path, out: Path, trust: Sequence[str], *, wandb: bool = False
) -> dict[str, Any]:
    """Return the arguments of the action `distil` for several students."""
    return {
        "students": [
            {"recipe": student.recipe, "changes": student.changes, "out": student_file(student, out).parent}
            for student in students
        ],
        "trust": tuple(trust),
        "data_root": data_root,
        "wandb": wandb,
    }


def comparison(run: CkaRun, backbone: BackboneName, data_root: Path, out: Path) -> dict[str, Any]:
    """Return the arguments that compare a checkpoint with its teachers, for table 6."""
    return {
        "specs": [f"{backbone.label}={backbone.spec}"],
        "teachers": True,
        "dataset": run.dataset,
        "limit": run.limit,
        "resolution": run.resolution,
        "data_root": data_root,
        "results": out / "results",
        "out": out / "cka",
    }


def perform(action: str, *, isolated: bool, **arguments: Any) -> Any:
    """Carry out an action of `umt.ACTIONS`, and return its answer; its UMTError is raised here.

    isolated: in a process of its own, which gives back all memory, and shows its progress itself.
    """
    function = umt.ACTIONS[action]
    return call(fork_server(), function, **arguments) if isolated else imported(function)(**arguments)


def _example_name(suite: Suite, text: str, trust: Sequence[str]) -> BackboneName:
    """Return a backbone of the example; it may run code only if the suite is trusted."""
    name = read_name(text, trusted=is_trusted(suite.source, trust))
    if name.trusted:
        return name
    file = FOLDER / f"{suite.source}.yaml" if suite.source in suite_names() else Path(suite.source)
    return replace(name, spec=name_from_file(name.spec, file, "example"))


def _with_heads(student: StudentRun, out: Path) -> list[BackboneName]:
    name = BackboneName(student.label, str(student_file(student, out)))
    return [name, *(head_of(name, space) for space in student.heads)]


def _students(tables: Sequence[SuiteTable]) -> dict[str, StudentRun]:
    students: dict[str, StudentRun] = {}
    for student in (student for table in tables for student in table.students):
        if students.setdefault(student.label, student) != student:
            raise OptionError(
                f"--tables: two tables have different students called '{student.label}'; distil them in two runs"
            )
    if not students:
        raise OptionError("--train: the tables in --tables name no students; leave it out")
    return students
