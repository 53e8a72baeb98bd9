"""Pair the results of several backbones by their test items, or say in one line why that cannot be done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.results import Key, Result
from benchmarks.scores import Scores
from benchmarks.suite.suite import COST_TASKS
from reports.building.columns import task_words
from reports.building.metrics import ShownMetric, get_metric
from reports.building.rows import Model
from reports.paired.values import ItemScores, read_scores
from reports.results.measurement import Measurement
from umt.errors import UMTError
from umt.text import printable

Setup = tuple[str, str, str, str, str]  # task, data set, protocol, hash of the protocol, fingerprint of the data
Seeds = tuple[Scores, ...]  # a backbone's values by seed


class NotPairedError(UMTError):
    """Results that have no items in common: a comparison leaves them out, and says so."""


@dataclass(frozen=True)
class PairedColumn:
    """The values of several backbones on the same items, by the same protocol, with the same seeds."""

    heading: str
    metric: ShownMetric
    example: Result
    path: Path  # of the example
    items: np.ndarray  # names [N]
    seeds: tuple[int, ...]
    scores: Mapping[str, Seeds]  # by the backbone's name; one entry for all seeds if the seed changes nothing
    values: np.ndarray  # the metric of each backbone and seed [S, M]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the backbones."""
        return tuple(self.scores)

    @property
    def means(self) -> np.ndarray:
        """The mean over seeds [M]."""
        means: np.ndarray = self.values.mean(axis=0)
        return means

    @property
    def seeded(self) -> bool:
        """True if the numbers of some backbone differ between seeds."""
        return any(len(scores) > 1 for scores in self.scores.values())


def paired_columns(
    measurements: Iterable[Measurement], names: Mapping[Model, str]
) -> tuple[list[PairedColumn], list[str]]:
    """Return a column for each setup that two backbones or more have, and a line for each that is left out."""
    setups: dict[Setup, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for measurement in measurements:
        if measurement.key.task not in COST_TASKS:
            setups[_setup(measurement.key)][names[measurement.model]].append(measurement)
    columns, reasons = [], _unpaired_lines(setups)
    for runs in (runs for runs in setups.values() if len(runs) > 1):
        try:
            columns.append(paired_column(runs))
        except NotPairedError as error:
            reasons.append(str(error))
    return _distinct(columns), reasons


def _setup(key: Key) -> Setup:
    return key.task, key.dataset, key.protocol, key.protocol_hash, key.data_fingerprint


def _unpaired_lines(setups: Mapping[Setup, Mapping[str, Sequence[Measurement]]]) -> list[str]:
    """Return a line for each setup of a single backbone."""
    return [
        f"{task} on {dataset}: only {next(iter(runs))} has a result by protocol {protocol} ({digest[:8]}) "
        f"on data {fingerprint[:8]}"
        for (task, dataset, protocol, digest, fingerprint), runs in setups.items()
        if len(runs) == 1
    ]


def paired_column(runs: Mapping[str, Sequence[Measurement]]) -> PairedColumn:
    """Pair the results of backbones on one setup. Raises NotPairedError if their items, seeds or metrics differ."""
    first = next(iter(runs.values()))[0]
    example = first.result
    metric = next(iter(example.metrics))
    seeds = _common_seeds(runs)
    paired = {name: _sorted_by_seed(measurements, seeds) for name, measurements in runs.items()}
    read = {name: [_read(run, metric) for run in measurements] for name, measurements in paired.items()}
    items = next(iter(read.values()))[0].names
    way = _common_way(read, example.key)
    scores = {
        name: [_aligned(by_item, way, items, example.key, name) for by_item in by_seed]
        for name, by_seed in read.items()
    }
    values = np.array([[run.result.metrics[metric] for run in measurements] for measurements in paired.values()]).T
    heading = printable(f"{example.data.title}, {task_words(example.key.task)}")
    shown = get_metric(metric, example)
    return PairedColumn(
        heading,
        shown,
        example,
        first.path,
        items,
        seeds,
        {name: _different(by_seed) for name, by_seed in scores.items()},
        values,
    )


def _sorted_by_seed(runs: Sequence[Measurement], seeds: Sequence[int]) -> list[Measurement]:
    """Return the runs of these seeds, in their order."""
    by_seed = {run.key.seed: run for run in runs}
    return [by_seed[seed] for seed in seeds]


def _common_seeds(runs: Mapping[str, Sequence[Measurement]]) -> tuple[int, ...]:
    sets = [{run.key.seed for run in measurements} for measurements in runs.values()]
    common = sorted(set.intersection(*sets))
    if not common:
        raise NotPairedError(f"{_called(next(iter(runs.values()))[0].key)}: the backbones have no seed in common")
    return tuple(common)


def _read(run: Measurement, metric: str) -> ItemScores:
    try:
        return read_scores(run, metric)
    except (UMTError, KeyError) as error:
        raise NotPairedError(f"{_called(run.key)}: {error}") from error


def _common_way(read: Mapping[str, Sequence[ItemScores]], key: Key) -> str:
    """Return the way in which all values give their metric."""
    counts = Counter(way for by_seed in read.values() for scores in by_seed for way in scores.ways)
    total = sum(map(len, read.values()))
    ways = [way for way, count in counts.items() if count == total]
    if not ways:
        raise NotPairedError(f"{_called(key)}: the backbones' numbers are not the same metric")
    return ways[0]


def _aligned(item_scores: ItemScores, way: str, items: np.ndarray, key: Key, name: str) -> Scores:
    """Return values in the order of `items`."""
    scores = item_scores.ways[way]
    if np.array_equal(item_scores.names, items):
        return scores
    positions = {item: index for index, item in enumerate(item_scores.names.tolist())}
    if (
        len(positions) < len(item_scores.names)
        or len(items) != len(positions)
        or any(item not in positions for item in items.tolist())
    ):
        raise NotPairedError(f"{_called(key)}: {name} was tested on other items")
    return scores.take(np.array([positions[item] for item in items.tolist()]))


def _different(seeds: Sequence[Scores]) -> Seeds:
    """Return the values of all seeds, or of one if they are all equal."""
    first = seeds[0].effects()
    return tuple(seeds) if any(not np.array_equal(first, repeat.effects()) for repeat in seeds[1:]) else (seeds[0],)


def _distinct(columns: Sequence[PairedColumn]) -> list[PairedColumn]:
    """Add the protocol and the fingerprint to headings that several columns have."""
    counts = Counter(column.heading for column in columns)
    return [
        replace(column, heading=f"{column.heading}, {printable(column.example.key.protocol)} {_setup_digest(column)}")
        if counts[column.heading] > 1
        else column
        for column in columns
    ]


def _setup_digest(column: PairedColumn) -> str:
    key = column.example.key
    return f"({key.protocol_hash[:8]}, data {key.data_fingerprint[:8]})"


def _called(key: Key) -> str:
    return f"{key.task} on {key.dataset}"
