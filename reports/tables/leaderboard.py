"""All backbones of a result store, ranked in each column and over columns; incomparable numbers are refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.results import Result
from benchmarks.suite.suite import COST_TASKS
from reports.building.cells import provenance
from reports.building.columns import task_words
from reports.building.metrics import ShownMetric, get_metric
from reports.building.notes import column_note
from reports.building.ranking import Rank, estimate, mean_rank, ranking
from reports.building.rows import Model, model_names
from reports.building.table import DASH, Cell, Group, Row, Table, TableColumn
from reports.paired.best import verdict_of
from reports.paired.verdicts import ColumnVerdict
from reports.results.measurement import Measurement
from umt.errors import ResultError
from umt.text import printable

MEAN_RANK = ShownMetric("mean place", "", higher_is_better=False, decimals=2)
CAPTION = (
    "Places that paired tests leave open (docs/compare.md), else those that the intervals do; value and 95% interval. "
    "Over columns: the mean place, and between which means it is open; "
    "only backbones with a value in every column have one. Speed does not count in it. Bold: may be the first."
)
Overall = tuple[float, tuple[float, float] | None]  # a mean rank, and the range of means that the intervals allow


@dataclass(frozen=True)
class LeaderboardColumn:
    """All measurements of a task on a data set, as ranks by backbone."""

    heading: str
    metric: ShownMetric
    results: Sequence[Result]
    ranks: Mapping[str, Rank]
    runs: Mapping[str, Sequence[Measurement]]  # by backbone


def leaderboard(measurements: Sequence[Measurement]) -> Table:
    """Build the table; UMTError if measurements of one task and data set differ in protocol or data."""
    names = model_names(measurement.model for measurement in measurements)
    tasks: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        tasks[measurement.key.task, measurement.key.dataset].append(measurement)
    columns = [_column(part, names) for part in tasks.values()]
    counted = [column for column in columns if column.results[0].key.task not in COST_TASKS] or columns
    overall = {name: _overall(counted, name) for name in set(names.values())}
    models = sorted(overall, key=lambda name: ((overall[name] or (len(names) + 1.0,))[0], name))
    rows = tuple(
        Row((name,), (_overall_cell(overall[name]), *(_cell(column, name) for column in columns))) for name in models
    )
    return Table(
        name="leaderboard",
        title="Leaderboard",
        caption=CAPTION,
        number="",
        label_headings=("Backbone",),
        columns=(
            TableColumn("All", MEAN_RANK),
            *(TableColumn(column.heading, column.metric) for column in columns),
        ),
        groups=(Group("", rows),),
        notes=tuple(printable(column_note(column.heading, column.results)) for column in columns),
    )


def _column(measurements: Sequence[Measurement], names: Mapping[Model, str]) -> LeaderboardColumn:
    example = measurements[0].result
    _refuse_mixture(measurements)
    metric_name = next(iter(example.metrics))  # the metric that tables show is declared first
    models: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        if metric_name in measurement.result.metrics:
            models[names[measurement.model]].append(measurement)
    metric = get_metric(metric_name, example)
    estimates = {name: estimate(runs, metric_name) for name, runs in models.items()}
    heading = printable(f"{example.data.title}, {task_words(example.key.task)}")
    results = [measurement.result for measurement in measurements]
    ranks = ranking(estimates, metric.higher_is_better)
    verdict = verdict_of(models)
    return LeaderboardColumn(heading, metric, results, _paired_ranks(ranks, verdict) if verdict else ranks, models)


def _paired_ranks(ranks: Mapping[str, Rank], verdict: ColumnVerdict) -> dict[str, Rank]:
    """Return the ranks with the range that paired tests leave open."""
    return {name: replace(rank, possible=_open_ranks(name, ranks, verdict)) for name, rank in ranks.items()}


def _open_ranks(name: str, ranks: Mapping[str, Rank], verdict: ColumnVerdict) -> tuple[int, int]:
    rivals = [ranks[rival].rank for rival in ranks if verdict.separated.get(frozenset((name, rival)))]
    better = sum(rank < ranks[name].rank for rank in rivals)
    return 1 + better, len(ranks) - (len(rivals) - better)


def _refuse_mixture(measurements: Sequence[Measurement]) -> None:
    """Raise UMTError if the numbers come from different protocols or data, because ranks then say nothing."""
    variants: dict[str, set[str]] = {"protocol": set(), "data": set()}
    for measurement in measurements:
        result, key = measurement.result, measurement.key
        variants["protocol"].add(f"{key.protocol} version {result.protocol_version} ({key.protocol_hash[:8]})")
        variants["data"].add(f"{result.data.title} ({key.data_fingerprint[:8]})")
    for option, values in variants.items():
        if len(values) > 1:
            key = measurements[0].key
            raise ResultError(
                f"{key.task} on {key.dataset}: results of different {option} are not ranked together: "
                f"{'; '.join(sorted(values))}; choose one with --{option}, or leave the task out with --tasks"
            )


def _overall(columns: Sequence[LeaderboardColumn], name: str) -> Overall | None:
    ranks = [column.ranks[name] for column in columns if name in column.ranks]
    return mean_rank(ranks) if len(ranks) == len(columns) else None


def _overall_cell(overall: Overall | None) -> Cell:
    if overall is None:
        return Cell()
    mean, bounds = overall
    between = f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
    return Cell(f"{mean:.2f}{between}", mean)


def _cell(column: LeaderboardColumn, name: str) -> Cell:
    if name not in column.ranks:
        return Cell(DASH)
    rank, digits = column.ranks[name], column.metric.decimals
    possible = rank.possible or (rank.rank, rank.rank)
    ranks = f"{rank.rank}" if possible == (rank.rank, rank.rank) else "{}–{}".format(*possible)
    interval = rank.estimate.interval
    bounds = f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else ""
    explain = partial(provenance, column.runs[name], next(iter(column.results[0].metrics)))
    return Cell(
        f"{ranks}. {rank.estimate.value:.{digits}f}{bounds}",
        rank.estimate.value,
        best=possible[0] == 1,
        explain=explain,
        files=tuple(run.path for run in column.runs[name]),
    )
