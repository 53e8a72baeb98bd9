"""The jobs of chosen tables, as the suite declares: columns, and heads of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.suite.suite import Column, Suite, SuiteTable
from umt.backbones.spec import BackboneName, parse_spec
from umt.errors import unknown_name

PLAIN = "backbone"  # ckpt.pth#backbone: see umt.backbones.checkpoint, which imports torch
SuitePart = tuple[Suite, tuple[BackboneName, ...]]  # a suite of some columns, and the backbones that it is for


def chosen_tables(suite: Suite, names: str) -> list[SuiteTable]:
    """Return the suite's tables "1,4,probes", the paper's by their numbers; UMTError for one that it does not have."""
    table_names = [f"table{name}" if name.isdigit() else name for name in map(str.strip, names.split(","))]
    for name in table_names:
        if name not in suite.tables:
            raise unknown_name(f"table of suite '{suite.name}'", name, suite.tables)
    return [suite.tables[name] for name in table_names]


def parts_of(
    suite: Suite, tables: Sequence[SuiteTable], backbones: Sequence[BackboneName], *, trained: bool = False
) -> list[SuitePart]:
    """Return the jobs of all tables for the backbones, and those of tables with heads for the heads of checkpoints.

    trained: whether the tables' students are among the backbones; each then has the jobs of the tables that name it.
    Without tables, return the suite unchanged.
    """
    if not tables:
        return [(suite, tuple(backbones))]
    parts = [
        (_with_jobs(suite, subset), tuple(names)) for subset, names in _by_student(tables, backbones, trained=trained)
    ]
    with_heads = [table for table in tables if table.heads]
    heads = heads_of(backbones) if with_heads else ()
    return [*parts, (_with_jobs(suite, with_heads), heads)] if heads else parts


def _by_student(
    tables: Sequence[SuiteTable], backbones: Sequence[BackboneName], *, trained: bool
) -> list[tuple[list[SuiteTable], list[BackboneName]]]:
    """Return the backbones in groups that have the same tables, with these; one group unless students are trained."""
    if not (trained and backbones):
        return [(list(tables), list(backbones))]
    students = {student.label for table in tables for student in table.students}
    groups: dict[tuple[int, ...], list[BackboneName]] = {}
    for name in backbones:
        of_name = tuple(
            number
            for number, table in enumerate(tables)
            if name.label not in students or name.label in {student.label for student in table.students}
        )
        groups.setdefault(of_name, []).append(name)
    return [([tables[number] for number in numbers], names) for numbers, names in groups.items()]


def heads_of(backbones: Sequence[BackboneName]) -> tuple[BackboneName, ...]:
    """Return the heads of the checkpoints among the backbones, and the plain student if a checkpoint is read out."""
    from umt.backbones.checkpoint import is_checkpoint, read_checkpoint  # imports torch

    heads: list[BackboneName] = []
    for name in checkpoints_of(backbones):
        path = Path(parse_spec(name.spec).name)
        if is_checkpoint(path):  # and not of another layout, without heads
            checkpoint = read_checkpoint(path)
            read_out = checkpoint.readout and {checkpoint.readout.classification, checkpoint.readout.dense}
            spaces = [space.name for space in checkpoint.spaces if {space.name} != read_out]
            heads += [head_of(name, space) for space in ([PLAIN] if read_out else []) + spaces]
    return tuple(heads)


def checkpoints_of(backbones: Sequence[BackboneName]) -> list[BackboneName]:
    """Return those backbones that are checkpoint files, and no heads."""
    parsed = [(name, parse_spec(name.spec)) for name in backbones]
    return [name for name, spec in parsed if spec.is_file and not spec.head and spec.name.endswith(".pth")]


def head_of(name: BackboneName, space: str) -> BackboneName:
    """Return a head of a checkpoint, or its plain student, as a backbone of its own."""
    suffix = space if space == PLAIN else f"{space} head"
    return BackboneName(f"{name.label}, {suffix}", f"{name.spec}#{space}", name.trusted)


def _with_jobs(suite: Suite, tables: Sequence[SuiteTable]) -> Suite:
    """Return the suite with the columns that some tables need, and no other."""
    patterns = [pattern for table in tables for pattern in table.jobs]
    suite_columns = {column for table in tables for column in table.columns}

    def needed(column: Column) -> bool:
        return column in suite_columns or any(
            fnmatch(f"{column.task}/{column.dataset}", pattern) for pattern in patterns
        )

    reduced = {name: tuple(filter(needed, table.columns)) for name, table in suite.tables.items()}
    return replace(
        suite,
        tables={name: replace(suite.tables[name], columns=columns) for name, columns in reduced.items() if columns},
    )
