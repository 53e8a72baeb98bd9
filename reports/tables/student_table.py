"""The declaration of a table of distilled students, and the engine that builds it (tables 2 to 5 and 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.suite.suite import Column
from reports.building.cells import loss_cell, mean_cell, measured_cell, quoted_cell
from reports.building.columns import MeasuredColumn, comparable_columns
from reports.building.metrics import METRICS, ShownMetric
from reports.building.notes import legend_of, notes_of
from reports.building.rows import mark_best
from reports.building.table import DASH, Cell, Group, Row, Table, TableColumn
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedTable
from reports.results.students import StudentMeasurement, StudentRecord
from umt.text import printable

LOSS = ShownMetric("", "", higher_is_better=False, decimals=2)
LOSS_NOTE = "Losses: means over the last epoch of the distillation, summed over the teachers."


@dataclass(frozen=True)
class Label:
    """A column of words: its text for a row, and the label of a published table."""

    field: str
    text: Callable[[StudentMeasurement], str]


@dataclass(frozen=True)
class LossColumn:
    """A sum over teachers of a loss of the last epoch; None if a student has no such loss."""

    heading: str
    field: str
    value: Callable[[StudentRecord], float | None]


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
    holds: Callable[[StudentRecord], bool] = lambda student: True

    @property
    def name(self) -> str:
        """The stem of its files, by which published tables name it."""
        return f"table{self.number}"


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: its heading, its cell for a row, and the column of a published table."""

    column: TableColumn
    cell: Callable[[Sequence[StudentMeasurement]], Cell]
    field: str


def build_student_table(
    declaration: StudentTable,
    columns: Sequence[Column],
    students: Sequence[StudentMeasurement],
    caption: str,
    quoted: Sequence[QuotedTable] = (),
) -> Table | None:
    """Build the table of all students that the declaration holds; None if nothing could be compared in it.

    `columns` are those of the suite. Rows of published tables that stand in it, marked as such, are a group above.
    """
    published = [table for table in quoted if table.stands_in == declaration.name]
    shown_students = [
        measured
        for measured in students
        if declaration.holds(measured.student)
        and (measured.plain or measured.space if declaration.heads else measured.stands_for_student)
    ]
    if not shown_students and not published:
        return None
    measured = _measured(declaration, columns, [student.measurement for student in shown_students])
    numbers = list(_numbers(declaration, measured))
    shown = tuple(number.column for number in numbers)
    groups = [
        *([Group("Published", tuple(_published(declaration, numbers, published)))] if published else ()),
        *_groups(declaration, numbers, shown_students),
    ]
    if not numbers or (not published and sum(len(group.rows) for group in groups) < 2):
        return None
    marked = tuple(replace(group, rows=mark_best(group.rows, shown)) for group in groups)
    notes = notes_of([column for _, column in measured], marked)
    return Table(
        name=declaration.name,
        title=declaration.title,
        caption=printable(caption),
        number=f"Table {declaration.number}",
        label_headings=tuple(declaration.labels),
        columns=shown,
        groups=marked,
        notes=(LOSS_NOTE, *notes) if declaration.losses else notes,
        legend=legend_of([column for _, column in measured]),
    )


def _measured(
    declaration: StudentTable, columns: Sequence[Column], measurements: Sequence[Measurement]
) -> list[tuple[TaskColumn, MeasuredColumn]]:
    """Return the suite's columns that the table shows, each with the measurements that may be compared."""
    return [
        (task, column)
        for task in declaration.tasks
        for declared in columns
        if (declared.task, declared.dataset) == (task.task, task.dataset)
        for column in comparable_columns([declared], measurements)
    ]


def _numbers(declaration: StudentTable, measured: Sequence[tuple[TaskColumn, MeasuredColumn]]) -> Iterator[Numbers]:
    for loss in declaration.losses:
        yield Numbers(TableColumn(loss.heading, LOSS), _loss_cell(loss), loss.field)
    for task, column in measured:
        yield Numbers(TableColumn(column.heading, column.metric), _task_cell(column), task.field)
    if declaration.average and len(measured) == len(declaration.tasks):
        cells = [_task_cell(column) for _, column in measured]
        mean = METRICS["accuracy"]
        yield Numbers(
            TableColumn("Average", mean),
            lambda row: mean_cell([cell(row) for cell in cells], mean),
            declaration.average,
        )


def _loss_cell(loss: LossColumn) -> Callable[[Sequence[StudentMeasurement]], Cell]:
    def cell(row: Sequence[StudentMeasurement]) -> Cell:
        students = {member.student.digest: member for member in row}
        values = [(member.measurement, loss.value(member.student)) for member in students.values()]
        return loss_cell([(measurement, value) for measurement, value in values if value is not None], LOSS)

    return cell


def _task_cell(column: MeasuredColumn) -> Callable[[Sequence[StudentMeasurement]], Cell]:
    paths = {measurement.path for measurement in column.measurements}

    def cell(row: Sequence[StudentMeasurement]) -> Cell:
        runs = [member.measurement for member in row if member.measurement.path in paths]
        return measured_cell(runs, column.declared.metric, column.metric)

    return cell


def _groups(
    declaration: StudentTable, numbers: Sequence[Numbers], students: Sequence[StudentMeasurement]
) -> list[Group]:
    """Group students into rows: equal words and equal settings are runs of one row; rows without a number are left out.

    Rows of equal words and different settings have the name of the recipe behind them.
    """
    rows: dict[tuple[str, tuple[str, ...], str], list[StudentMeasurement]] = {}
    for member in students:
        words = tuple(printable(label.text(member)) for label in declaration.labels.values())
        title = "" if declaration.one_group else printable(member.student.lineage)
        rows.setdefault((title, words, member.student.settings), []).append(member)
    namesakes = Counter((title, words) for title, words, _ in rows)
    groups: dict[str, list[Row]] = {}
    for (title, words, _), members in rows.items():
        cells = tuple(number.cell(members) for number in numbers)
        if any(cell.value is not None for cell in cells):
            behind = f" [{printable(members[0].student.recipe)}]" if namesakes[title, words] > 1 else ""
            groups.setdefault(title, []).append(Row((words[0] + behind, *words[1:]), cells))
    return [Group(title, tuple(group)) for title, group in groups.items()]


def _published(declaration: StudentTable, numbers: Sequence[Numbers], quoted: Sequence[QuotedTable]) -> Iterator[Row]:
    fields = [number.field for number in numbers]
    names = [field if fields.index(field) == index else "" for index, field in enumerate(fields)]
    for table in quoted:
        for row in table.rows:
            labels = (printable(row.label(label.field)) or DASH for label in declaration.labels.values())
            cells = tuple(quoted_cell(table, row.values.get(name)) for name in names)
            yield Row(tuple(labels), cells, source=printable(table.cite))
