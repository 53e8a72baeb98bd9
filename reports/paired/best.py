"""Bold by paired tests: the measured rows of a table that no test separates from the best of their group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from reports.building.rows import mark_best
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.paired.pairing import NotPairedError, paired_column
from reports.paired.verdicts import ColumnVerdict, verdicts
from reports.results.measurement import Measurement

DRAWS = 2000
SEED = 0  # of the drawn items: the same results give the same verdicts
BOLD = "Bold:"  # the beginning of a footnote
MAX_RIVALS = 50  # rows that are compared in pairs; of more, bold is as printed

Best = Mapping[tuple[int, int], bool]  # by the row in its group and the column


def verdict_of(runs: Mapping[str, Sequence[Measurement]]) -> ColumnVerdict | None:
    """Compare results of one setup by the names of their backbones; None if they are too many or cannot be paired."""
    if not 2 <= len(runs) <= MAX_RIVALS or len({_setup(run) for results in runs.values() for run in results}) != 1:
        return None
    try:
        return verdicts([paired_column(runs)], DRAWS, SEED)[0]
    except NotPairedError:
        return None


def with_paired_best(table: Table, measurements: Sequence[Measurement]) -> Table:
    """Return the table with bold from paired tests, in the columns whose measured rows store values of single items.

    Bold are the rows that no test separates from the best measured one of their group, after Holm's correction over
    its pairs; quoted rows compete apart from them. Other columns keep their bold, and a footnote names them.
    """
    by_path = {measurement.path: measurement for measurement in measurements if measurement.result.raw}
    best = [_best(group, by_path) for group in table.groups]
    if not any(best):
        return table
    groups = tuple(_marked(group, of_group, table.columns) for group, of_group in zip(table.groups, best, strict=True))
    return replace(table, groups=groups, notes=_notes(table, groups, best))


def _best(group: Group, by_path: Mapping[Path, Measurement]) -> Best:
    """Return for each measured cell of a tested column if it is not separated from the best."""
    best: dict[tuple[int, int], bool] = {}
    for column in range(len(group.rows[0].cells) if group.rows else 0):
        rivals = {index: row.cells[column] for index, row in enumerate(group.rows) if _competes(row, column)}
        runs = {str(index): _runs(cell, by_path) for index, cell in rivals.items()}
        verdict = verdict_of(runs) if all(runs.values()) else None
        if verdict:
            best |= {(index, column): str(index) in verdict.groups[0] for index in rivals}
    return best


def _competes(row: Row, column: int) -> bool:
    return not row.quoted and row.cells[column].value is not None


def _runs(cell: Cell, by_path: Mapping[Path, Measurement]) -> list[Measurement]:
    """Return the results whose first metric the cell shows, each with its values of items; none if it shows another."""
    runs = [by_path[path] for path in cell.files if path in by_path]
    if len(runs) < len(cell.files) or not runs or len({run.key.seed for run in runs}) < len(runs):
        return []
    shown = fmean(next(iter(run.result.metrics.values())) for run in runs)
    return runs if cell.value is not None and math.isclose(shown, cell.value) else []


def _setup(run: Measurement) -> tuple[str, ...]:
    key = run.key
    return key.task, key.dataset, key.protocol_hash, key.data_fingerprint, next(iter(run.result.metrics))


def _marked(group: Group, best: Best, columns: Sequence[TableColumn]) -> Group:
    plain = [replace(row, cells=tuple(replace(cell, best=False) for cell in row.cells)) for row in group.rows]
    quoted = iter(mark_best([row for row in plain if row.quoted], columns))
    tested = {column for _, column in best}
    rows = []
    for index, row in enumerate(group.rows):
        cells_marked = next(quoted).cells if row.quoted else row.cells
        marks = (
            best.get((index, column), cells_marked[column].best) if column in tested else cell.best
            for column, cell in enumerate(row.cells)
        )
        rows.append(replace(row, cells=tuple(map(_with_mark, row.cells, marks))))
    return replace(group, rows=tuple(rows))


def _with_mark(cell: Cell, best: bool) -> Cell:
    return cell if cell.best == best else replace(cell, best=best)


def _notes(table: Table, groups: Sequence[Group], best: Sequence[Best]) -> tuple[str, ...]:
    """Return the footnotes with that of bold, which names the columns without test."""
    tested = {column for of_group in best for _, column in of_group}
    rows = [row for group in groups for row in group.rows]
    marked = {column for row in rows for column, cell in enumerate(row.cells) if cell.best and not row.quoted}
    untested = [table.columns[column].heading for column in sorted(marked - tested)]
    without = f"; in {', '.join(untested)}, without test, the best" if untested else ""
    note = (
        f"{BOLD} not separated from the best measured row of its group by any paired test (docs/compare.md)"
        f"{'; quoted rows compete apart' if any(row.quoted for row in rows) else ''}"
        f"{without}."
    )
    return (*(line for line in table.notes if not line.startswith(BOLD)), note)
