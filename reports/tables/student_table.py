"""The declaration of a table of distilled students, and the engine that builds it (tables 2 to 5 and 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.building.best import mark_best
from reports.building.cells import loss_cell, mean_cell, measured_cell, published_cell
from reports.building.columns import MeasuredColumn, comparable_columns
from reports.building.declaration import AskedColumn
from reports.building.metrics import METRICS, Metric
from reports.building.notes import notes_of
from reports.building.table import DASH, Cell, Column, Group, Row, Table
from reports.paper import published_table
from reports.results.measurement import Measurement
from reports.results.students import Seen, Student, students_of
from umt.text import printable

LOSS = Metric("loss", "", higher_is_better=False, decimals=2)
LOSS_NOTE = "Losses: means over the last epoch of the distillation, summed over the teachers."


@dataclass(frozen=True)
class Label:
    """A column of words: its text for a row, and the field of the paper's CSV."""

    field: str
    text: Callable[[Seen], str]


@dataclass(frozen=True)
class LossColumn:
    """A sum over teachers of a loss of the last epoch; None if a student has no such loss."""

    heading: str
    field: str
    value: Callable[[Student], float | None]


@dataclass(frozen=True)
class TaskColumn:
    """A column with a suite's measurements on a task and a data set, by the suite's own protocol."""

    task: str
    dataset: str
    field: str


@dataclass(frozen=True)
class StudentTable:
    """A table with a row for each setting of distilled students, in groups by architecture and teachers."""

    number: int
    title: str
    labels: Mapping[str, Label]
    losses: tuple[LossColumn, ...] = ()
    tasks: tuple[TaskColumn, ...] = ()
    average: str = ""  # field of the mean over the tasks, empty if the table has none
    heads: bool = False  # True if each head of a student is a separate row
    one_group: bool = False  # True if students of all teachers compete with each other
    holds: Callable[[Student], bool] = lambda student: True


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: its heading, its cell for a row, and the field of the paper's CSV."""

    column: Column
    cell: Callable[[Sequence[Seen]], Cell]
    field: str


def build_student_table(
    declaration: StudentTable,
    asked: Sequence[AskedColumn],
    measurements: Sequence[Measurement],
    caption: str,
    *,
    with_paper: bool = False,
) -> Table | None:
    """Build the table of all students that the declaration holds; None if nothing could be compared in it.

    `asked` are the columns of the suite. `with_paper` puts the paper's own rows, marked as such, in a group above.
    """
    seen = [
        one
        for one in students_of(measurements)
        if declaration.holds(one.student) and (declaration.heads or one.space is None)
    ]
    if not seen and not with_paper:
        return None
    measured = _measured(declaration, asked, [one.measurement for one in seen])
    numbers = list(_numbers(declaration, measured))
    columns = [number.column for number in numbers]
    groups = [
        *(_published(declaration, numbers) if with_paper else ()),
        *_groups(declaration, numbers, seen),
    ]
    if not numbers or (not with_paper and sum(len(group.rows) for group in groups) < 2):
        return None
    marked = tuple(replace(group, rows=mark_best(group.rows, columns)) for group in groups)
    notes = notes_of([column for _, column in measured], marked)
    return Table(
        name=f"table{declaration.number}",
        title=declaration.title,
        caption=printable(caption),
        number=f"Table {declaration.number}",
        label_headings=tuple(declaration.labels),
        columns=tuple(columns),
        groups=marked,
        notes=(LOSS_NOTE, *notes) if declaration.losses else notes,
    )


def _measured(
    declaration: StudentTable, asked: Sequence[AskedColumn], measurements: Sequence[Measurement]
) -> list[tuple[TaskColumn, MeasuredColumn]]:
    """Return the suite's columns that the table shows, each with the measurements that may be compared."""
    return [
        (task, column)
        for task in declaration.tasks
        for one in asked
        if (one.task, one.dataset) == (task.task, task.dataset)
        for column in comparable_columns([one], measurements)
    ]


def _numbers(declaration: StudentTable, measured: Sequence[tuple[TaskColumn, MeasuredColumn]]) -> Iterator[Numbers]:
    for loss in declaration.losses:
        yield Numbers(Column(loss.heading, LOSS), _loss_cell(loss), loss.field)
    for task, column in measured:
        yield Numbers(Column(column.heading, column.metric), _task_cell(column), task.field)
    if declaration.average and len(measured) == len(declaration.tasks):
        cells = [_task_cell(column) for _, column in measured]
        mean = METRICS["accuracy"]
        yield Numbers(
            Column("Average", mean), lambda row: mean_cell([cell(row) for cell in cells], mean), declaration.average
        )


def _loss_cell(loss: LossColumn) -> Callable[[Sequence[Seen]], Cell]:
    def cell(row: Sequence[Seen]) -> Cell:
        students = {one.student.digest: one for one in row}
        values = [(one.measurement, loss.value(one.student)) for one in students.values()]
        return loss_cell([(one, value) for one, value in values if value is not None], LOSS)

    return cell


def _task_cell(column: MeasuredColumn) -> Callable[[Sequence[Seen]], Cell]:
    inside = {id(one) for one in column.measurements}

    def cell(row: Sequence[Seen]) -> Cell:
        own = [one.measurement for one in row if id(one.measurement) in inside]
        return measured_cell(own, column.asked.metric, column.metric)

    return cell


def _groups(declaration: StudentTable, numbers: Sequence[Numbers], seen: Sequence[Seen]) -> list[Group]:
    """Group students into rows: equal words and equal settings are runs of one row; rows without a number are left out.

    Rows of equal words and different settings have the name of the recipe behind them.
    """
    rows: dict[tuple[str, tuple[str, ...], str], list[Seen]] = {}
    for one in seen:
        words = tuple(printable(label.text(one)) for label in declaration.labels.values())
        title = "" if declaration.one_group else printable(one.student.lineage)
        rows.setdefault((title, words, one.student.settings), []).append(one)
    namesakes = Counter((title, words) for title, words, _ in rows)
    groups: dict[str, list[Row]] = {}
    for (title, words, _), members in rows.items():
        cells = tuple(number.cell(members) for number in numbers)
        if any(cell.value is not None for cell in cells):
            behind = f" [{printable(members[0].student.recipe)}]" if namesakes[title, words] > 1 else ""
            groups.setdefault(title, []).append(Row((words[0] + behind, *words[1:]), cells))
    return [Group(title, tuple(group)) for title, group in groups.items()]


def _published(declaration: StudentTable, numbers: Sequence[Numbers]) -> Iterator[Group]:
    lines = published_table(declaration.number)
    fields = [number.field for number in numbers]
    first = [field if fields.index(field) == index else "" for index, field in enumerate(fields)]
    yield Group(
        "Published",
        tuple(
            Row(
                tuple(line[label.field] or DASH for label in declaration.labels.values()),
                tuple(published_cell(line.get(field, ""), declaration.number) for field in first),
                source="paper",
            )
            for line in lines
        ),
    )
