"""Results of one model as lines of its card: the metric, the data and the protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reports.building.cells import measured_cell
from reports.building.metrics import get_metric
from reports.building.notes import column_note
from reports.results.measurement import Measurement
from reports.results.store import ANALYSIS


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


def results_of(measurements: Sequence[Measurement]) -> list[ResultLine]:
    """Return a line for each task, data and protocol; comparisons with other backbones are not results of the model."""
    jobs: dict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for one in measurements:
        if one.setup.suite != ANALYSIS:
            jobs[one.setup.job].append(one)
    return [_line(part) for _, part in sorted(jobs.items())]


def _line(part: Sequence[Measurement]) -> ResultLine:
    setup = part[0].setup
    name = setup.metrics[0]  # the metric that tables show is declared first
    metric = get_metric(name, setup)
    cell = measured_cell(part, name, metric)
    unit = f" ({metric.unit})" if metric.unit else ""
    return ResultLine(
        data=setup.data.title,
        task=setup.task,
        protocol=f"{setup.protocol} version {setup.protocol_version} ({setup.protocol_hash})",
        metric=f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}",
        value=cell.text,
        runs=cell.runs,
        note=column_note(setup.data.title, setup),
    )
