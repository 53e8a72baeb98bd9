"""Footnotes of a table: data and protocol of each column, and the meaning of the marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.results import Result
from reports.building.columns import MeasuredColumn
from reports.building.table import DASH, Cell, Group
from reports.results.students import students_of
from umt.text import printable


def notes_of(columns: Sequence[MeasuredColumn], groups: Sequence[Group]) -> tuple[str, ...]:
    """Return a line for each measurement that columns show, then one for each mark that the table uses."""
    notes = (*_column_notes(columns), *_student_notes(columns), *_mark_notes(groups))
    return tuple(dict.fromkeys(map(printable, notes)))  # columns of one measurement share their note


def legend_of(columns: Sequence[MeasuredColumn]) -> tuple[str, ...]:
    """Describe the data of each title that is not the official name of its set."""
    measured = [column.example.data for column in columns if column.measurements]
    lines = (f"{data.title}: {data.origin}" for data in measured if data.origin and not data.official)
    return tuple(dict.fromkeys(map(printable, lines)))


def _column_notes(columns: Sequence[MeasuredColumn]) -> Iterator[str]:
    """Yield each note behind all headings that it is of: metrics of one job share theirs."""
    headings: dict[str, dict[str, None]] = {}
    for column in columns:
        if column.measurements:
            note = column_note(column.heading, column.results).removeprefix(column.heading)
            headings.setdefault(note, {}).setdefault(column.heading)
    yield from (f"{', '.join(names)}{note}" for note, names in headings.items())


def column_note(heading: str, results: Sequence[Result]) -> str:
    """Describe data and protocol, in which all results of a column agree, and whatever concerns single backbones."""
    result = results[0]
    sizes = ", ".join(f"{size:,} {split}" for split, size in result.data.sizes.items())
    data = "" if heading.startswith(result.data.title) else f"{result.data.title}, "
    origin = f" ({result.data.origin})" if result.data.origin else ""
    return (
        f"{heading}: {data}{sizes}{origin}; {result.key.task}, protocol {result.key.protocol} "
        f"version {result.protocol_version} ({result.key.protocol_hash[:8]})."
        + "".join(f" {note}" for note in _footnotes(results))
    )


def _footnotes(results: Sequence[Result]) -> list[str]:
    """Return the footnotes of protocol and data, then each note on backbones behind all that it concerns."""
    general: dict[str, None] = {}
    concerned: dict[str, dict[str, None]] = {}
    for result in results:
        label = result.key.backbone
        text, *notes = f" {result.footnote or ''}".split(f" {label}: ")
        general.setdefault(text.strip())
        for note in notes:
            concerned.setdefault(note, {}).setdefault(label)
    return [*filter(None, general), *(f"{', '.join(labels)}: {note}" for note, labels in concerned.items())]


def _student_notes(columns: Sequence[MeasuredColumn]) -> Iterator[str]:
    """Yield the teachers of each student, behind all labels under which it is measured."""
    labels: dict[str, dict[str, None]] = {}
    students = students_of([measurement for column in columns for measurement in column.measurements])
    for item in students:
        text = f"{item.student.lineage}, distilled by recipe {item.student.recipe}."
        labels.setdefault(text, {}).setdefault(item.measurement.key.backbone)
    yield from (f"{'; '.join(names)}: {text}" for text, names in labels.items())


def _mark_notes(groups: Sequence[Group]) -> Iterator[str]:
    rows = [row for group in groups for row in group.rows]
    cells: list[Cell] = [cell for row in rows for cell in row.cells]
    if any(cell.best for cell in cells):
        yield "Bold: best of its group, equal as printed."
    if any(cell.std is not None for cell in cells):
        yield "±: sample standard deviation over seeds."
    if any(cell.value is None for cell in cells):
        yield f"{DASH}: no value."
    for source in dict.fromkeys(row.source for row in rows if row.quoted):
        yield f"({source}): as published there, not measured here."
    for mark in sorted({row.mark for row in rows if row.mark}):
        yield f"{mark}: official result of the method's authors, which the source repeats."
