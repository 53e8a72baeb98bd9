"""Results of one model as lines of its card: what was measured, on what, by which protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reports.cells import measured_cell
from reports.metrics import get_metric
from reports.notes import column_note
from reports.store import ANALYSIS, Record


@dataclass(frozen=True)
class ResultLine:
    """The first metric of a task, mean over runs that differ in their seed alone."""

    data: str
    task: str
    protocol: str  # with version and hash
    metric: str
    value: str
    runs: int
    note: str


def results_of(records: Sequence[Record]) -> list[ResultLine]:
    """One line for each task, data and protocol; comparisons with other backbones are no results of the model."""
    jobs: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        key = record.result.key
        if record.result.suite != ANALYSIS:
            jobs[key.task, key.dataset, key.protocol, key.protocol_hash, key.data_fingerprint].append(record)
    return [_line(part) for _, part in sorted(jobs.items())]


def _line(runs: Sequence[Record]) -> ResultLine:
    result = runs[0].result
    name = next(iter(result.metrics))  # a task declares first what its tables show
    metric = get_metric(name, result)
    cell = measured_cell(runs, name, metric)
    unit = f" ({metric.unit})" if metric.unit else ""
    return ResultLine(
        data=result.data.title,
        task=result.key.task,
        protocol=f"{result.key.protocol} version {result.protocol_version} ({result.key.protocol_hash})",
        metric=f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}",
        value=cell.text,
        runs=cell.runs,
        note=column_note(result.data.title, result),
    )
