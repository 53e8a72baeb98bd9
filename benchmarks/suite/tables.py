"""The needs of the requested tables: columns, heads, students and analyses, as the suite declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import click

from benchmarks.suite.actions import cka_command, distil_command, run_command, student_file
from benchmarks.suite.suite import FOLDER, Column, StudentRun, Suite, TablePlan, suite_names
from umt.backbones.spec import BackboneName, parse_spec, read_name
from umt.backbones.trust import is_trusted, name_from_file
from umt.console import Console, shown
from umt.errors import OptionError, ProcessError, unknown_name

Part = tuple[Suite, tuple[BackboneName, ...]]  # a suite of some columns, and the backbones that it is for


def chosen_tables(suite: Suite, numbers: str) -> list[TablePlan]:
    """Return the suite's declarations of tables "1,4,6"; UMTError for a table that it does not have."""
    known = {str(table.number): table for table in suite.tables}
    asked = [number.strip() for number in numbers.split(",")]
    for number in asked:
        if number not in known:
            raise unknown_name(f"table of suite '{suite.name}'", number, known)
    return [known[number] for number in asked]


def parts_of(suite: Suite, tables: Sequence[TablePlan], backbones: Sequence[BackboneName]) -> list[Part]:
    """Return the jobs of all tables for the backbones, and those of tables with heads for the heads of checkpoints.

    Without tables, return the suite unchanged.
    """
    if not tables:
        return [(suite, tuple(backbones))]
    parts = [(_with_jobs(suite, tables), tuple(backbones))]
    with_heads = [table for table in tables if table.heads]
    heads = heads_of(backbones) if with_heads else ()
    return [*parts, (_with_jobs(suite, with_heads), heads)] if heads else parts


def heads_of(backbones: Sequence[BackboneName]) -> tuple[BackboneName, ...]:
    """Return `LABEL, SPACE head` for every space of the checkpoints among the backbones."""
    from umt.backbones.checkpoint import is_checkpoint, read_checkpoint  # imports torch

    return tuple(
        _head(name, space.name)
        for name in checkpoints_of(backbones)
        if is_checkpoint(path := Path(parse_spec(name.spec).name))  # and not of another layout, without heads
        for space in read_checkpoint(path).spaces
    )


def checkpoints_of(backbones: Sequence[BackboneName]) -> list[BackboneName]:
    """Return those backbones that are checkpoint files, and no heads."""
    parsed = [(name, parse_spec(name.spec)) for name in backbones]
    return [name for name, spec in parsed if spec.is_file and not spec.tap and spec.name.endswith(".pth")]


def example_backbones(
    suite: Suite, data_root: Path, out: Path, console: Console, trust: Sequence[str], *, dry_run: bool
) -> tuple[BackboneName, ...]:
    """Distil the students of a suite's example, and return its backbones; a dry run only lists these students.

    Raises TrustError if a backbone runs code and the suite is not among the files that are trusted.
    """
    names = [_example_name(suite, text, trust) for text in suite.example]
    for student in suite.example_students:
        command = distil_command(student, data_root, out, trust)
        intent = "would run" if dry_run else "running"
        console.print(f"{intent}: umt {' '.join(command)}", soft_wrap=True, markup=False, highlight=False)
        if not dry_run:
            run_command(command)
    return (*(name for student in suite.example_students for name in _with_heads(student, out)), *names)


def train_students(
    tables: Sequence[TablePlan],
    data_root: Path,
    out: Path,
    console: Console,
    trust: Sequence[str] = (),
    *,
    sure: bool,
    dry_run: bool,
) -> tuple[BackboneName, ...]:
    """Distil the students that the tables name, after the cost of each is printed; return the finished students.

    Finished students are not trained again, and an interrupted training goes on. UMTError if a label means two recipes.
    """
    students = _students(tables)
    commands = {label: distil_command(student, data_root, out, trust) for label, student in students.items()}
    files = {label: student_file(student, out) for label, student in students.items()}
    to_train = [label for label in students if not files[label].is_file()]
    for label in to_train:
        console.print(f"[bold]{shown(label)}[/] would cost", highlight=False)
        run_command([*commands[label], "--dry-run"])
    if to_train and not sure and not dry_run:
        click.confirm(f"Train {len(to_train)} students?", abort=True)
    for label in () if dry_run else to_train:
        run_command(commands[label])
    return tuple(BackboneName(label, str(file)) for label, file in files.items() if file.is_file())


def analyse(
    tables: Sequence[TablePlan], backbones: Sequence[BackboneName], data_root: Path, out: Path, console: Console
) -> int:
    """Compare each checkpoint with its teachers, if a table needs it; return the number of failed comparisons."""
    failed = 0
    for run in (table.cka for table in tables if table.cka):
        for name in checkpoints_of(backbones):
            try:
                run_command(cka_command(run, name, data_root, out))
            except ProcessError as error:
                failed += 1
                console.print(f"[red]failed[/] {shown(name.label)}: {shown(error.coded)}", soft_wrap=True)
    return failed


def _example_name(suite: Suite, text: str, trust: Sequence[str]) -> BackboneName:
    """Return a backbone of the example; it may run code only if the suite is trusted."""
    name = read_name(text, trusted=is_trusted(suite.source, trust))
    if name.trusted:
        return name
    file = FOLDER / f"{suite.source}.yaml" if suite.source in suite_names() else Path(suite.source)
    return replace(name, spec=name_from_file(name.spec, file, "example"))


def _with_heads(student: StudentRun, out: Path) -> list[BackboneName]:
    name = BackboneName(student.label, str(student_file(student, out)))
    return [name, *(_head(name, space) for space in student.heads)]


def _head(name: BackboneName, space: str) -> BackboneName:
    return BackboneName(f"{name.label}, {space} head", f"{name.spec}#{space}", name.trusted)


def _with_jobs(suite: Suite, tables: Sequence[TablePlan]) -> Suite:
    """Return the suite with the columns of some tables only."""
    patterns = [pattern for table in tables for pattern in table.jobs]

    def kept(columns: Sequence[Column]) -> tuple[Column, ...]:
        named = [(column, f"{column.task}/{column.dataset}") for column in columns]
        return tuple(column for column, name in named if any(fnmatch(name, pattern) for pattern in patterns))

    return replace(
        suite,
        columns=kept(suite.columns),
        probes=kept(suite.probes),
        zeroshot=kept(suite.zeroshot),
        costs=kept(suite.costs),
    )


def _students(tables: Sequence[TablePlan]) -> dict[str, StudentRun]:
    students: dict[str, StudentRun] = {}
    for student in (student for table in tables for student in table.students):
        if students.setdefault(student.label, student) != student:
            raise OptionError(f"two tables call different students '{student.label}'; ask for them in two runs")
    if not students:
        raise OptionError("--train: the tables that were asked for name no students; leave it out")
    return students
