"""Compare our numbers with the paper's: the difference, and if another seed of ours could explain it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import yaml
from scipy.special import stdtrit  # scipy.stats takes half a second to import

from reports.building.columns import MeasuredColumn, comparable_columns
from reports.building.declaration import AskedColumn, Published
from reports.building.ranking import LEVEL
from reports.building.rows import model_names
from reports.building.statistics import mean_and_deviation
from reports.building.table import Cell, Column, Group, Row, Table
from reports.paper import published_table
from reports.results.measurement import Measurement, Model
from umt.text import printable

CAPTION = (
    "Ours minus the paper's, on the complete official data by the paper's protocol. "
    "Inside: the paper's value lies where one more seed of ours would lie in 95% of cases."
)
Line = Mapping[str, str]


def comparison(published: Published, asked: Sequence[AskedColumn], measurements: Sequence[Measurement]) -> Table | None:
    """Build a table with a row for each backbone that the paper has too; None if there is none."""
    official = [one for one in measurements if one.setup.data.official]
    models = {one.model.key: one.model for one in official}
    columns = [
        (column, published.columns[key])
        for column in comparable_columns(asked, official)
        if (key := _key(column.asked)) in published.columns and column.measurements
    ]
    rows = []
    for model, name in sorted(model_names(models).items()):
        line = _counterpart(models[model], published.number)
        if line is not None:
            cells = tuple(_cell(column, field, line, model) for column, field in columns)
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
    """Return True if a difference to the mean is inside the prediction interval of one more run, and its half width.

    None for a single run, which has no spread.
    """
    _, deviation = mean_and_deviation(values)
    if deviation is None:
        return None
    share = stdtrit(len(values) - 1, 0.5 + LEVEL / 2)
    half = float(share * deviation * math.sqrt(1 + 1 / len(values)))
    return abs(difference) <= half, half


def _cell(column: MeasuredColumn, field: str, line: Line, model: tuple[str, str]) -> Cell:
    own = [one for one in column.measurements if one.model.key == model and one.has(column.asked.metric)]
    values = [value for one in own for value in one.values(column.asked.metric)]
    if not values or not line[field]:
        return Cell()
    difference, digits = fmean(values) - float(line[field]), column.metric.decimals
    verdict = inside_spread(difference, values)
    spread = f" ({'inside' if verdict[0] else 'outside'} ±{verdict[1]:.{digits}f})" if verdict else ""
    told = f"ours {', '.join(f'{value:.6g}' for value in values)}; the paper {line[field]}"
    return Cell(f"{difference:+.{digits}f}{spread}", difference, runs=len(values), told=lambda: [told])


def _counterpart(model: Model, number: int) -> Line | None:
    """Return the paper's row of a backbone; a head of a student has no row there."""
    said = model.provenance
    recipe = said.get("recipe", {}) if "space" not in said else {}
    made = {"recipe": recipe.get("name") if isinstance(recipe, Mapping) else None, "backbone": model.spec}
    for entry in yaml.safe_load(
        (Path(__file__).parents[1] / "paper" / "counterparts.yaml").read_text(encoding="utf-8")
    ):
        if any(made[way] == entry[way] for way in made if way in entry):
            fields = ("method", "student_arch", "setting")
            return next(line for line in published_table(number) if all(line[name] == entry[name] for name in fields))
    return None


def _key(asked: AskedColumn) -> tuple[str, str, str, str]:
    return asked.task, asked.dataset, asked.protocol_name, asked.metric
