"""The table of the experiment, from the result store: mean and standard deviation over seeds."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.results import Result
from benchmarks.suite import Column, load_suite
from umt.errors import UMTError

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
SEED = re.compile(r" seed \d+$")
Values = Mapping[str, Mapping[str, list[float]]]  # row -> column -> one value a seed


def collect(results: Iterable[Result], columns: Iterable[Column]) -> Values:
    """Values of each row and column; rows of one name with different seeds are one row."""
    headings = {(column.task, column.dataset, column.protocol_name): column for column in columns}
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        column = headings.get((result.key.task, result.key.dataset, result.key.protocol))
        if column:
            values[SEED.sub("", result.key.backbone)][column.heading].append(result.metrics[column.metric])
    return values


def markdown(values: Values, rows: Iterable[str], suite: str) -> str:
    """The table; what was not measured is a dash, a single run has no deviation."""
    columns = [column.heading for column in load_suite(suite).all_columns]
    lines = [["", *columns, "mean"], ["---", *["---:"] * (len(columns) + 1)]]
    for row in rows:
        found = [values.get(row, {}).get(column, []) for column in columns]
        lines.append([row, *(_cell(cell) for cell in found), _mean(found)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def insert(path: Path, table: str) -> None:
    """Replace what stands between the marks of a document; UMTError where there are none."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise UMTError(f"{path}: the marks '{BEGIN}' and '{END}' are missing; put them where the table belongs")
    head, _, rest = text.partition(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _cell(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def _mean(cells: list[list[float]]) -> str:
    """Over columns, for each seed, then over seeds; a dash where anything is missing."""
    counts = {len(cell) for cell in cells}
    if len(counts) != 1 or not cells[0]:
        return "-"
    return _cell([statistics.mean(seed) for seed in zip(*cells, strict=True)])
