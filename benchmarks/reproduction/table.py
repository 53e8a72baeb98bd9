"""The table of the experiment, from the result store: mean and standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.results import Result, split_training
from benchmarks.suite.resolutions import protocol_name_at
from benchmarks.suite.suite import Column
from benchmarks.tasks.registry import get_task
from umt.errors import WriteError

Values = Mapping[str, Mapping[str, Mapping[str, float]]]  # row -> heading -> backbone, one for each seed -> value


def collect(results: Iterable[Result], columns: Iterable[Column], resolutions: Iterable[int] = ()) -> Values:
    """Collect the values of each row and column; for a backbone that was judged again, the newest.

    Protocols at other resolutions belong to the same columns: their rows have labels of their own.
    """
    columns_by_key = {
        (column.task, column.dataset, protocol): column
        for column in columns
        for protocol in (
            column.protocol_name,
            *(protocol_name_at(column.protocol_name, pixels) for pixels in resolutions),
        )
    }
    values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for result in sorted(results, key=lambda result: result.environment.started):
        column = columns_by_key.get((result.key.task, result.key.dataset, result.key.protocol))
        if column:
            backbone = result.key.backbone
            values[split_training(backbone)[0]][column.heading][backbone] = result.metrics[column.metric]
    return values


def units_of(columns: Iterable[Column]) -> dict[str, str]:
    """Return the unit of each heading: "%" or, for a share, nothing."""
    return {
        column.heading: next(metric.unit for metric in get_task(column.task).metrics if metric.name == column.metric)
        for column in columns
    }


def markdown(values: Values, rows: Iterable[str], units: Mapping[str, str]) -> str:
    """Write the table; a missing measurement is a dash, a single run has no deviation, the mean is that of percents."""
    percents = [heading for heading, unit in units.items() if unit == "%"]
    lines = [["", *units, "mean"], ["---", *["---:"] * (len(units) + 1)]]
    for row in rows:
        of_row = {heading: values.get(row, {}).get(heading, {}) for heading in units}
        cells = [cell(seeds.values(), 1 if heading in percents else 3) for heading, seeds in of_row.items()]
        lines.append([row, *cells, cell(means_by_seed(of_row, percents), 1)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def insert(path: Path, table: str, mark: str) -> None:
    """Replace the text between the marks of a document; UMTError if there are none."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    text = path.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise WriteError(f"{path}: the marks '{begin}' and '{end}' are missing; put them where the table belongs")
    head, _, rest = text.partition(begin)
    path.write_text(f"{head}{begin}\n{table}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def cell(values: Collection[float], decimals: int) -> str:
    """Write mean ± deviation, the value alone if there is one, or a dash."""
    if not values:
        return "-"
    deviation = f" ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{decimals}f}{deviation}"


def means_by_seed(row: Mapping[str, Mapping[str, float]], headings: Sequence[str]) -> list[float]:
    """Return the mean over columns, for each seed in order; nothing if a column lacks a seed that another has."""
    columns = [row.get(heading, {}) for heading in headings]
    if not columns or any(column.keys() != columns[0].keys() for column in columns):
        return []
    return [statistics.mean(column[seed] for column in columns) for seed in sorted(columns[0])]
