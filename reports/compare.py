"""Our numbers held against the paper's: the difference, and whether another seed of ours might have given it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import yaml
from scipy.special import stdtrit  # scipy.stats takes half a second to import

from reports.columns import MeasuredColumn, comparable_columns
from reports.declaration import AskedColumn, Published
from reports.paper import published_table
from reports.rows import model_names, model_of
from reports.standing import LEVEL
from reports.store import Record
from reports.table import Cell, Column, Group, Row, Table, printable

CAPTION = (
    "Ours minus the paper's, on the complete official data by the paper's protocol. "
    "Inside: the paper's value lies where one more seed of ours would lie in 95% of cases."
)
Line = Mapping[str, str]


def comparison(published: Published, asked: Sequence[AskedColumn], records: Sequence[Record]) -> Table | None:
    """A row for each backbone that the paper has too; None where there is none."""
    official = [record for record in records if record.result.data.official]
    columns = [
        (column, published.columns[key])
        for column in comparable_columns(asked, official)
        if (key := _key(column.asked)) in published.columns and column.records
    ]
    rows = []
    for model, name in sorted(model_names(official).items()):
        own = [record for record in official if model_of(record) == model]
        line = _counterpart(own[0], published.number)
        if line is not None:
            cells = tuple(_cell(column, field, line, own) for column, field in columns)
            rows.append(Row((name, printable(f"{line['method']}, {line['student_arch']}")), cells))
    if not any(cell.value is not None for row in rows for cell in row.cells):
        return None
    return Table(
        name="compare-paper",
        title="Ours and the paper's",
        caption=CAPTION,
        number="",
        label_headings=("Backbone", "Row of the paper"),
        columns=tuple(Column(column.heading, column.metric) for column, _ in columns),
        groups=(Group("", tuple(rows)),),
        notes=("No spread is given for a single seed.",),
    )


def inside_spread(difference: float, values: Sequence[float]) -> tuple[bool, float] | None:
    """Whether a difference to the mean is inside the prediction interval of one more run, and its half width.

    None for a single run, which has no spread.
    """
    if len(values) < 2:
        return None
    share = stdtrit(len(values) - 1, 0.5 + LEVEL / 2)
    half = float(share * stdev(values) * math.sqrt(1 + 1 / len(values)))
    return abs(difference) <= half, half


def _cell(column: MeasuredColumn, field: str, line: Line, own: Sequence[Record]) -> Cell:
    inside = {id(record) for record in column.records}
    values = [record.result.metrics[column.asked.metric] for record in own if id(record) in inside]
    if not values or not line[field]:
        return Cell()
    difference, digits = fmean(values) - float(line[field]), column.metric.decimals
    verdict = inside_spread(difference, values)
    spread = f" ({'inside' if verdict[0] else 'outside'} ±{verdict[1]:.{digits}f})" if verdict else ""
    told = f"ours {', '.join(f'{value:.6g}' for value in values)}; the paper {line[field]}"
    return Cell(f"{difference:+.{digits}f}{spread}", difference, runs=len(values), provenance=(told,))


def _counterpart(record: Record, number: int) -> Line | None:
    """The paper's row of a backbone; a head of a student has none of its own there."""
    said = record.result.provenance
    recipe = said.get("recipe", {}) if "space" not in said else {}
    made = {"recipe": recipe.get("name") if isinstance(recipe, Mapping) else None, "backbone": record.result.spec}
    for entry in yaml.safe_load((Path(__file__).parent / "paper" / "counterparts.yaml").read_text(encoding="utf-8")):
        if any(made[way] == entry[way] for way in made if way in entry):
            fields = ("method", "student_arch", "setting")
            return next(line for line in published_table(number) if all(line[name] == entry[name] for name in fields))
    return None


def _key(asked: AskedColumn) -> tuple[str, str, str, str]:
    return asked.task, asked.dataset, asked.protocol_name, asked.metric
