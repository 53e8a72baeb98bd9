"""From tables that a user asks for to what they need: columns, heads, students and analyses, as the suite declares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import click

from benchmarks.example import run_command
from benchmarks.suite import Column, StudentRun, Suite, TablePlan
from umt.console import Console, shown
from umt.errors import OptionError, unknown_name

Part = tuple[Suite, tuple[str, ...]]  # a suite of some columns, and the backbones that it is for


def chosen_tables(suite: Suite, numbers: str) -> list[TablePlan]:
    """The suite's declarations of tables "1,4,6"; UMTError for one that it does not have."""
    known = {str(table.number): table for table in suite.tables}
    asked = [number.strip() for number in numbers.split(",")]
    for number in asked:
        if number not in known:
            raise unknown_name(f"table of suite '{suite.name}'", number, known)
    return [known[number] for number in asked]


def parts_of(suite: Suite, tables: Sequence[TablePlan], backbones: Sequence[str]) -> list[Part]:
    """The jobs of all tables for the backbones, and those of tables with heads for the heads of checkpoints.

    Without tables the suite as it is.
    """
    if not tables:
        return [(suite, tuple(backbones))]
    parts = [(_with_jobs(suite, tables), tuple(backbones))]
    with_heads = [table for table in tables if table.heads]
    heads = heads_of(backbones) if with_heads else ()
    return [*parts, (_with_jobs(suite, with_heads), heads)] if heads else parts


def heads_of(backbones: Sequence[str]) -> tuple[str, ...]:
    """`LABEL, SPACE head=CKPT#SPACE` for every space of the checkpoints among the backbones."""
    from umt.backbones.checkpoint import read_checkpoint  # imports torch

    return tuple(
        f"{label}, {space.name} head={path}#{space.name}"
        for label, path in checkpoints_of(backbones)
        for space in read_checkpoint(Path(path)).spaces
    )


def checkpoints_of(backbones: Sequence[str]) -> list[tuple[str, str]]:
    """Label and file of those backbones that are checkpoint files, and no heads."""
    from umt.backbones.label import split_label
    from umt.backbones.spec import parse_spec

    split = [split_label(text) for text in backbones]
    parsed = [(label, parse_spec(spec)) for label, spec in split]
    return [
        (label, spec.name) for label, spec in parsed if spec.is_file and not spec.tap and spec.name.endswith(".pth")
    ]


def train_students(
    tables: Sequence[TablePlan], data_root: Path, out: Path, console: Console, *, sure: bool, dry_run: bool
) -> tuple[str, ...]:
    """Distil the students that the tables name, after telling what each costs; `LABEL=CKPT` of those that are there.

    Finished ones are not trained again, and an interrupted one goes on. UMTError where a label means two recipes.
    """
    students = _students(tables)
    places = {label: out / "students" / _slug(label) for label in students}
    commands = {label: _command(student, data_root, places[label]) for label, student in students.items()}
    to_train = [label for label in students if not (places[label] / "student.pth").is_file()]
    for label in to_train:
        console.print(f"[bold]{shown(label)}[/] would cost", highlight=False)
        run_command([*commands[label], "--dry-run"])
    if to_train and not sure and not dry_run:
        click.confirm(f"Train {len(to_train)} students?", abort=True)
    for label in () if dry_run else to_train:
        run_command(commands[label])
    files = {label: place / "student.pth" for label, place in places.items()}
    return tuple(f"{label}={file}" for label, file in files.items() if file.is_file())


def analyse(tables: Sequence[TablePlan], backbones: Sequence[str], data_root: Path, out: Path) -> None:
    """Run the analyses of the tables on each checkpoint."""
    for table in tables:
        for command in table.analyses:
            for label, path in checkpoints_of(backbones):
                places = {"label": label, "backbone": path, "data": data_root, "out": out}
                run_command([part.format(**places) for part in command])


def _with_jobs(suite: Suite, tables: Sequence[TablePlan]) -> Suite:
    """The suite with the columns of some tables only."""
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


def _command(student: StudentRun, data_root: Path, place: Path) -> list[str]:
    changes = [part for change in student.changes for part in ("--set", change)]
    return ["distill", "--recipe", student.recipe, *changes, "--data-root", str(data_root), "--out", str(place)]


def _slug(label: str) -> str:
    return re.sub(r"\W+", "-", label).strip("-").lower()
